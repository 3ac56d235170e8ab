"""Run one point: the result as plain data, or the failure as plain data. Never raises for a failed point."""

from collections.abc import Callable
from typing import Any

from sim.config.placed import places_named
from sim.errors import InputError, SelfCheckError, StuckError
from sim.sweep.points import Job

Simulate = Callable[..., Any]
"""Called as `simulate(hardware, workload, fidelity=..., seed=...)`; returns something with `to_dict()`.
It must be a top-level function, since worker processes import it by name."""


def execute(simulate: Simulate, job: Job) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """(result, None) or (None, {kind, message}), which names file and line of a key that is to blame. An interrupt is
    not a failure and passes through."""
    try:
        with places_named(**job.configs):
            result = simulate(job.hardware, job.workload, fidelity=job.fidelity, seed=job.seed)
    except Exception as error:
        return None, describe(error)
    return result.to_dict(), None


def describe(error: Exception) -> dict[str, Any]:
    kinds = {InputError: "bad input", StuckError: "stuck", SelfCheckError: "self-check"}
    kind = next((text for cls, text in kinds.items() if isinstance(error, cls)), "internal")
    text = str(error) if kind != "internal" else f"{type(error).__name__}: {error}"
    return {"kind": kind, "message": " | ".join(text.splitlines()) or type(error).__name__}
