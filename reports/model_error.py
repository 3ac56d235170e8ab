"""How far the model is known to be from silicon: the smallest difference that a report may call real."""

from dataclasses import dataclass

from reports.quantities import sampling_error
from sim.result import Result


@dataclass(frozen=True)
class ModelError:
    """Relative error of predicted times, and what it was measured against."""

    fraction: float
    reference: str


STATED = ModelError(
    0.07,
    "the H100 decode sanity rows (16-bit, 64/8 heads): predictions are accepted within -6% to +7% of "
    "published silicon times; part of that error is common to two designs and cancels in their difference, "
    "how much has not been measured, so the whole of it is held against each difference",
)


def judge(gain: float, error: float) -> str:
    """'gain', 'loss', or 'tie' when the difference is not larger than the error."""
    return "gain" if gain > error else "loss" if gain < -error else "tie"


def error_of(first: Result, second: Result, model: ModelError) -> float:
    """What a relative difference of two results must exceed: the model's error and both sampling errors."""
    return model.fraction + sampling_error(first) + sampling_error(second)
