"""The device at tile grain, compiled: the same CTAs, buffers and units, with memory as bandwidth servers.

It ranks mappings, extrapolates sampled runs and fits parameters; a result at full fidelity never depends on its times
beyond the choice of the mapping.
"""
