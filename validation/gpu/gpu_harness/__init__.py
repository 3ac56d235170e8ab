"""Measurements of a CUDA GPU, for calibrating and checking the simulator. See ../README.md."""
