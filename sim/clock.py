"""The SM clock that a machine holds in a phase."""

from sim.config.hardware import Hardware

TENSOR_PHASES = ("prefill", "mixed")
"""Phases that keep the tensor cores busy; decode and verify wait for memory."""


def under_load(hw: Hardware, phase: str, *, step: bool = False) -> Hardware:
    """The chip at the clock that its governor holds in a phase, in a kernel alone or in a whole step.

    A board with power to spare boosts beyond its rating; continuous MMA may draw more than the power limit. The
    governor follows the power of milliseconds, so that all kernels of such a step share the clock, the few between that
    only move values too.
    """
    sm = hw.sm
    limits = [
        limit for limit in (sm.busy_clock_ghz, sm.step_clock_ghz if step else None) if limit is not None
    ]
    if phase not in TENSOR_PHASES or (sm.boost is None and not limits):
        return hw
    clock = min([sm.clock_ghz * (sm.boost or 1), *limits])
    return hw.model_copy(update={"sm": sm.model_copy(update={"clock_ghz": clock})})
