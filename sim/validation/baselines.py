"""Two models that know no kernels, judged on the same rows: the roofline, and an affine fit per GPU.

The affine fit, time = a + b x work, is fitted to relative errors on the even rows of each GPU and phase in order
of id, and judged on the odd ones. Work is KV bytes for decode and FLOPs for prefill. Fewer than six rows say nothing:
two points fit any line.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from sim.validation.errors import Prediction

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Baseline:
    """Mean absolute relative error of a baseline, and of the model on the very same rows, overall and by GPU."""

    n: int
    mape: float | None
    """None: no rows to judge."""
    model_mape: float | None
    by_gpu: dict[str, tuple[int, float, float]]
    """(rows, baseline, model) by GPU."""


def roofline(predictions: Sequence[Prediction]) -> Baseline:
    """The lower bound of each row as its prediction."""
    return _judge(predictions, [p.case.measure.of_us(p.bound_us) for p in predictions])


def affine(predictions: Sequence[Prediction]) -> Baseline:
    groups: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for p in sorted(predictions, key=lambda p: p.case.row.id):
        groups[p.case.row.gpu, p.case.row.phase].append(p)
    judged: list[Prediction] = []
    values: list[float] = []
    for group in (g for g in groups.values() if len(g) >= LEAST_ROWS):
        even, odd = group[::2], group[1::2]
        a, b = fit_affine(_work(even), np.array([p.case.time_us for p in even]))
        for p, work in zip(odd, _work(odd), strict=True):
            judged.append(p)
            values.append(p.case.measure.of_us(max(a + b * float(work), TINY_US)))
    return _judge(judged, values)


LEAST_ROWS = 6
TINY_US = 1e-3
"""An affine fit may cross zero; no row is that short."""


def fit_affine(work: Float64, time_us: Float64) -> tuple[float, float]:
    """a and b of time = a + b x work with the least squared relative error; a constant where work does not vary."""
    weight = 1 / time_us
    if np.ptp(work) == 0:
        return float(weight.sum() / (weight**2).sum()), 0.0
    matrix = np.stack([weight, work * weight], axis=1)
    (a, b), *_ = np.linalg.lstsq(matrix, np.ones_like(time_us))
    return float(a), float(b)


def _work(predictions: Sequence[Prediction]) -> Float64:
    """Work in units that keep the fit well conditioned: MB of KV, or GFLOP."""
    prefill = [p.case.row.phase == "prefill" for p in predictions]
    return np.array(
        [
            p.case.shape.flops / 1e9 if compute else p.case.kv_bytes / 1e6
            for p, compute in zip(predictions, prefill, strict=True)
        ]
    )


def _judge(predictions: Sequence[Prediction], values: Sequence[float]) -> Baseline:
    by_gpu: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for p, value in zip(predictions, values, strict=True):
        by_gpu[p.case.row.gpu].append((abs(value / p.truth - 1), abs(p.error)))
    rows = [pair for pairs in by_gpu.values() for pair in pairs]
    mape, model_mape = _means(rows) if rows else (None, None)
    shares = {gpu: (len(pairs), *_means(pairs)) for gpu, pairs in by_gpu.items()}
    return Baseline(len(rows), mape, model_mape, shares)


def _means(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return fmean(pair[0] for pair in pairs), fmean(pair[1] for pair in pairs)
