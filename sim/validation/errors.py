"""Predictions beside truth, and what their errors are: overall, by group, for short rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sim.error_summary import Summary, summary
from sim.validation.cases import Mapped

MIB = 2**20
SIZE_CLASSES = (
    (1, "KV below 1 MiB"),
    (8, "KV 1 to 8 MiB"),
    (64, "KV 8 to 64 MiB"),
    (512, "KV 64 to 512 MiB"),
    (float("inf"), "KV 512 MiB and more"),
)
SHORT_US = 20.0
SHORT_TOLERANCE = 0.10
SHORT_TOLERANCE_US = 1.0
"""Rows below 20 us are judged by max(10 %, 1 us): timers of some sources step by 2 us."""


@dataclass(frozen=True)
class Prediction:
    """One row: truth and prediction in the row's unit, with the parts of the predicted time."""

    case: Mapped
    predicted: float
    simulated_us: float
    overhead_us: float
    bound_us: float

    @property
    def truth(self) -> float:
        return self.case.row.value

    @property
    def error(self) -> float:
        """Signed relative error of the value."""
        return (self.predicted - self.truth) / self.truth

    @property
    def predicted_us(self) -> float:
        return self.simulated_us + self.overhead_us

    @property
    def within_short_limit(self) -> bool:
        missed_us = abs(self.predicted_us - self.case.time_us)
        return missed_us <= max(SHORT_TOLERANCE * self.case.time_us, SHORT_TOLERANCE_US)


def size_class(case: Mapped) -> str:
    return next(name for limit, name in SIZE_CLASSES if case.kv_bytes < limit * MIB)


def time_class(case: Mapped) -> str:
    limits = ((SHORT_US, "below 20 us"), (100.0, "20 to 100 us"), (1000.0, "100 us to 1 ms"))
    return next((name for limit, name in limits if case.time_us < limit), "1 ms and more")


def dimensions(case: Mapped) -> dict[str, str]:
    """The values by which a row is grouped."""
    row, kernel = case.row, case.names.kernel.profile
    return {
        "source": row.source,
        "gpu": row.gpu,
        "kernel": row.kernel,
        "phase": row.phase,
        "kv_dtype": row.kv_dtype,
        "metric": row.metric,
        "size": size_class(case),
        "time": time_class(case),
        "profile": kernel,
        "gpu_profile": f"{row.gpu} / {kernel}",
        "gpu_phase": f"{row.gpu} / {row.phase}",
    }


def groups(predictions: Sequence[Prediction]) -> dict[str, dict[str, Summary]]:
    """Errors by dimension and value, values in order of first appearance."""
    members: dict[str, dict[str, list[float]]] = {}
    for p in predictions:
        for dimension, value in dimensions(p.case).items():
            members.setdefault(dimension, {}).setdefault(value, []).append(p.error)
    return {
        dimension: {value: summary(errors) for value, errors in by_value.items()}
        for dimension, by_value in members.items()
    }


def short_rows(predictions: Sequence[Prediction]) -> Mapping[str, float | int]:
    """Rows below 20 us: how many there are and which share keeps max(10 %, 1 us)."""
    short = [p for p in predictions if p.case.time_us < SHORT_US]
    share = sum(p.within_short_limit for p in short) / len(short) if short else 1.0
    return {"n": len(short), "within_limit": share}


def worst(predictions: Sequence[Prediction], count: int) -> list[Prediction]:
    return sorted(predictions, key=lambda p: -abs(p.error))[:count]
