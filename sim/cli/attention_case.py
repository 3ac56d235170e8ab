"""One case of `pagewalk validate attention` and `pagewalk calibrate`, as worker processes run it."""

from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.workload import Workload
from sim.errors import InputError
from sim.sweep.execute import describe

if TYPE_CHECKING:
    from kernels_ref.trace import Step


@dataclass(frozen=True)
class CaseTime:
    """What a validation needs of a result. `fallback`: why a sampled run was repeated whole, or nothing."""

    time_ns: float
    bound_ns: float
    mapping: dict[str, Any]
    fallback: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def time_case(hardware: Hardware, workload: Workload, *, fidelity: str, seed: int) -> CaseTime:
    """Simulate one row's kernel. Raises what the simulation raises."""
    return _timed(hardware, workload, _profile(workload.kernel), fidelity, seed)


def sampled_ns(hardware: Hardware, workload: Workload, profile: KernelProfile) -> float:
    """Time of a launch with a profile that need not be shipped."""
    return _timed(hardware, workload, profile, "sampled", 0).time_ns


def step_of(workload: Workload) -> "Step":
    """The engine's step of a launch. Raises InputError."""
    from sim.cli.job import engine_step
    from sim.config.load import model_of

    return engine_step(workload, model_of(workload), 0)


def _timed(
    hardware: Hardware, workload: Workload, profile: KernelProfile, fidelity: str, seed: int
) -> CaseTime:
    from sim.cli.job import engine_step
    from sim.config.load import model_of
    from sim.simulate import Case, simulate_case

    model = model_of(workload)
    step = engine_step(workload, model, seed, hardware)
    case = Case(hardware, workload, model, [profile], step, seed)
    fallback = ""
    try:
        result = simulate_case(case, fidelity=fidelity)
    except InputError:
        raise
    except Exception as error:
        # A defect of the sampling must not cost the row: the whole run is the reference of a sampled one anyway.
        if fidelity != "sampled":
            raise
        fallback = str(describe(error)["message"])
        result = simulate_case(case, fidelity="full")
    return CaseTime(result.time_ns, result.bound_ns, result.mapping, fallback)


@cache
def _profile(name: str) -> KernelProfile:
    from sim.config.catalog import looks_like_path
    from sim.config.load import load_profile

    profile = load_profile(name)
    return profile.model_copy(update={"name": name}) if looks_like_path(name) else profile
