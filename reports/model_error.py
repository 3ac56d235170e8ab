"""How far the model is known to be from silicon: the smallest difference that a report may call real."""

from dataclasses import dataclass

from reports.quantities import sampling_error
from reports.study import Study
from sim.result import Result


@dataclass(frozen=True)
class ModelError:
    """Relative error of predicted times, and what it was measured against; no reference: none is stated.

    Kernels shorter than `short_ns` hang on launch and latency effects, where models are further off.
    """

    fraction: float
    reference: str
    short_fraction: float | None = None
    """Error of short kernels; none: as `fraction`."""
    short_ns: float = 50_000

    @property
    def is_stated(self) -> bool:
        return bool(self.reference)

    def at(self, time_ns: float) -> float:
        if self.short_fraction is not None and time_ns < self.short_ns:
            return self.short_fraction
        return self.fraction


STATED = ModelError(
    0.07,
    "614 published decode times of A100, H100, H200, B200, L40S, RTX 4090 and RTX PRO 6000 held back from the fit "
    "of kernels, chips and one overhead per framework, chip and KV class: mean absolute error 8% below 20 µs, 7% "
    "from 20 to 100 µs, 4% above; part of an error is common to two designs and cancels in their difference, how much "
    "has not been measured, so the whole of it is held against each difference, and twice as much against kernels "
    "under 50 µs",
    short_fraction=0.16,
)


UNSTATED = ModelError(0.0, "")


def is_floor(study: Study) -> bool:
    """Whether nothing was simulated: bounds have no error against silicon, which is slower by what they leave out."""
    return {result.fidelity for _, result in study.done} == {"bound"}


def known_error(study: Study) -> ModelError:
    """The stated error is that of simulated kernels: it says nothing of microbenchmarks and of analytic floors."""
    kinds = {result.workload.get("kind") for _, result in study.done}
    return UNSTATED if kinds == {"micro"} or is_floor(study) else STATED


def judge(gain: float, error: float) -> str:
    """'gain', 'loss', or 'tie' when the difference is not larger than the error."""
    return "gain" if gain > error else "loss" if gain < -error else "tie"


def error_of(first: Result, second: Result, model: ModelError) -> float:
    """What a relative difference of two results must exceed: the model's error and both sampling errors."""
    known = max(model.at(first.time_ns), model.at(second.time_ns))
    return known + sampling_error(first) + sampling_error(second)
