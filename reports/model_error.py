"""How far the model is known to be from silicon: the smallest difference that a report may call real."""

from dataclasses import dataclass

from reports.quantities import sampling_error
from sim.result import Result


@dataclass(frozen=True)
class ModelError:
    """Relative error of predicted times, and what it was measured against.

    Kernels shorter than `short_ns` hang on launch and latency effects, where models are further off.
    """

    fraction: float
    reference: str
    short_fraction: float | None = None
    """Error of short kernels; none: as `fraction`."""
    short_ns: float = 50_000

    def at(self, time_ns: float) -> float:
        if self.short_fraction is not None and time_ns < self.short_ns:
            return self.short_fraction
        return self.fraction


STATED = ModelError(
    0.07,
    "published H100 decode times (16-bit KV, 64/8 heads of 128; middle of the published range): 64 x 8K tokens "
    "+1%, 16 x 8K -6%, and the short 1 x 8K kernel with a warm cache -34%; part of an error is common to two "
    "designs and cancels in their difference, how much has not been measured, so the whole of it is held "
    "against each difference",
    short_fraction=0.35,
)


def judge(gain: float, error: float) -> str:
    """'gain', 'loss', or 'tie' when the difference is not larger than the error."""
    return "gain" if gain > error else "loss" if gain < -error else "tie"


def error_of(first: Result, second: Result, model: ModelError) -> float:
    """What a relative difference of two results must exceed: the model's error and both sampling errors."""
    known = max(model.at(first.time_ns), model.at(second.time_ns))
    return known + sampling_error(first) + sampling_error(second)
