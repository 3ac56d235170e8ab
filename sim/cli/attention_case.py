"""One case of `pagewalk validate attention`, as worker processes run it."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sim.config.hardware import Hardware
from sim.config.workload import KernelProfile, Workload


@dataclass(frozen=True)
class CaseTime:
    """What a validation needs of a result."""

    time_ns: float
    bound_ns: float
    mapping: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {"time_ns": self.time_ns, "bound_ns": self.bound_ns, "mapping": self.mapping}


def time_case(hardware: Hardware, workload: Workload, *, fidelity: str, seed: int) -> CaseTime:
    """Simulate one row's kernel. Raises what the simulation raises."""
    from sim.cli.job import engine_step
    from sim.config.load import model_of
    from sim.simulate import Case, simulate_case

    model = model_of(workload)
    step = engine_step(workload, model, seed, hardware)
    case = Case(hardware, workload, model, [_profile(workload.kernel)], step, seed)
    result = simulate_case(case, fidelity=fidelity)
    return CaseTime(result.time_ns, result.bound_ns, result.mapping)


@cache
def _profile(name: str) -> KernelProfile:
    from sim.config.load import load_profile

    return load_profile(name)
