"""`--fidelity sampled`: a part of the CTAs and tiles runs on the whole machine, the rest follows at tile grain."""
