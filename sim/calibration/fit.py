"""Robust least squares on log errors, with the overhead of every framework solved inside.

The residual of a row is ln((simulated + overhead) / measured), over the uncertainty of the row: 5 % and a timer's
0.8 us. An overhead is no physics of the chip and enters linearly, so that each trial has its best one: the
weighted median of what is missing, from 0 to 20 us.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.calibration.parameters import Parameter

Float64 = NDArray[np.float64]
Group = tuple[str, str, str]
"""Framework, machine and KV class."""

RELATIVE = 0.05
TIMER_US = 0.8
MOST_OVERHEAD_US = 20.0
USUAL_OVERHEAD_US, OVERHEAD_SPREAD_US = 5.2, 2.7
"""Median and standard deviation over the 27 groups of published decode rows (sim/validation/data/overheads.yaml)."""
MAD, OF_MEDIAN = 1.4826, 1.2533
"""Standard deviation over median absolute deviation, and that of a median over that of a mean, for normal values."""
STEP = 0.06
"""Of a parameter's range: simulated time has small steps, which smaller differences would see as slopes."""
INSIDE = 0.01
"""A start on a bound moves this share of the range inside, so that both directions can be tried."""


def uncertainty(measured_us: Float64) -> Float64:
    """Relative standard uncertainty of measured times."""
    return RELATIVE + TIMER_US / measured_us


def group_overheads(
    measured_us: Float64, simulated_us: Float64, groups: Sequence[Group]
) -> dict[Group, float]:
    """The overhead of each group, in us: weighted median of measured less simulated, clipped to [0, 20]."""
    weights, missing = _weights(measured_us), measured_us - simulated_us
    return {
        group: float(np.clip(_weighted_median(missing[at], weights[at]), 0, MOST_OVERHEAD_US))
        for group, at in _members(groups).items()
    }


def cautious_overheads(
    measured_us: Float64, simulated_us: Float64, groups: Sequence[Group]
) -> dict[Group, float]:
    """As `group_overheads`, for kernels of which no row is in the group: where its rows are few or miss very different
    times, what they miss tells more of their own kernel than of the framework, and the usual overhead counts as well.

    Both are weighted by their variances, that of the median from the median absolute deviation (a timer's at least).
    """
    weights, missing = _weights(measured_us), measured_us - simulated_us
    found = group_overheads(measured_us, simulated_us, groups)
    for group, at in _members(groups).items():
        deviation = MAD * _weighted_median(np.abs(missing[at] - found[group]), weights[at])
        variance = (OF_MEDIAN * max(TIMER_US, deviation)) ** 2 / len(at)
        share = OVERHEAD_SPREAD_US**2 / (OVERHEAD_SPREAD_US**2 + variance)
        found[group] = USUAL_OVERHEAD_US + share * (found[group] - USUAL_OVERHEAD_US)
    return found


def _weights(measured_us: Float64) -> Float64:
    weights: Float64 = 1 / (measured_us * uncertainty(measured_us))
    return weights


def _members(groups: Sequence[Group]) -> dict[Group, list[int]]:
    members: dict[Group, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    return members


def residuals(
    measured_us: Float64,
    simulated_us: Float64,
    groups: Sequence[Group],
    known: Mapping[Group, float] | None = None,
) -> Float64:
    """Log errors in units of each row's uncertainty, at the known overheads, or at the best ones."""
    overheads = group_overheads(measured_us, simulated_us, groups) if known is None else known
    added = np.array([overheads[group] for group in groups])
    log_error: Float64 = np.log((simulated_us + added) / measured_us)
    return log_error / uncertainty(measured_us)


def fit(
    parameters: Sequence[Parameter],
    start: Sequence[float],
    measured_us: Float64,
    groups: Sequence[Group],
    predict: Callable[[Float64], Float64],
    evaluations: int,
    known: Mapping[Group, float] | None = None,
) -> Float64:
    """Values within the bounds with the least soft-L1 loss. `predict` gives simulated us for parameter values;
    `evaluations` is the most steps of the search, each of which tries every parameter once; `known` are overheads
    in us that are not fitted."""
    from scipy.optimize import least_squares

    low = np.array([p.low for p in parameters])
    span = np.array([p.high for p in parameters]) - low

    usual = 1 + (np.array([p.usual for p in parameters]) - low) / span
    spread = np.array([p.spread for p in parameters])

    def loss(unit: Float64) -> Float64:
        of_rows = residuals(measured_us, predict(low + (unit - 1) * span), groups, known)
        return np.concatenate([of_rows, (unit - usual) / spread])

    # From 1 to 2, since the step of a difference is relative to the value.
    first = 1 + np.clip((np.array(start) - low) / span, INSIDE, 1 - INSIDE)
    found = least_squares(loss, first, bounds=(1, 2), diff_step=STEP, loss="soft_l1", max_nfev=evaluations)
    values: Float64 = low + (found.x - 1) * span
    return values


def _weighted_median(values: Float64, weights: Float64) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
