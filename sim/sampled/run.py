"""One attention kernel, sampled: a part in detail, and the whole from it and from runs at tile grain."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.accounting import NO_WORK, account_parts
from sim.causes import CAUSES, INDEX
from sim.coarse.estimate import Coarse, Problem, attention_grid_of, build_coarse
from sim.coarse.grid import Grid
from sim.coarse.hits import Reuse
from sim.lowering.combine import build_combine
from sim.lowering.units import Units
from sim.machine import Machine, RunOptions, RunOutcome
from sim.sampled.chance import chance_ps, found_share
from sim.sampled.counted import Pair, table_bytes, whole_counters
from sim.sampled.draws import drawn_time
from sim.sampled.extrapolate import Course, Run, Size, Whole, extrapolate, relative_ci95
from sim.sampled.residency import found_before, resident_ranges
from sim.sampled.turnover import Turns, lives, steady_account, with_known

Int64 = NDArray[np.int64]
TENSOR = INDEX["tensor"]


@dataclass(frozen=True)
class Sampled:
    """What the whole kernel would do. account: SM-ps by cause; pace: detail over tile grain in the steady part."""

    time_ps: float
    account: dict[str, float]
    counters: dict[str, int]
    relative_ci95: float
    pace: float
    share: float
    """Part of the launch's tiles that was simulated in detail."""


def run_detail(problem: Problem, units: Units, hits: Int64, query_hits: Int64) -> RunOutcome:
    """The sample on the whole machine. When the launch is replayed warm L2 holds `hits` [t] of its tiles before, and
    `query_hits` [c] of the query rows of its CTAs."""
    p = problem
    launches = [p.lower(units)]
    combine = build_combine(p.step, units, p.cut, p.addresses)
    if combine is not None:
        launches.append(combine)
    resident = resident_ranges(launches[0], hits, query_hits, p.hw) if p.memory.warm else None
    options = RunOptions(
        p.how,
        lost=p.memory.lost,
        resident=resident,
        record_order=True,
        zero_latency=p.memory.zero_latency,
    )
    return Machine(p.hw, launches, options).run(p.step.formats)


def detail_course(outcome: RunOutcome) -> Course:
    """The sample's first launch as it ran on the whole machine."""
    assert outcome.detail is not None
    return Course(np.sort(outcome.orders[0].consumed_ps), outcome.detail.ends_ps[0])


def sample_of(whole: Grid, values: Int64, part: Grid) -> Int64:
    """[t] of the sample's tiles, from those of all tiles of the whole launch."""
    ends = whole.tile_ptr[1 : part.ctas + 1]
    counts = np.diff(part.tile_ptr)
    index = np.repeat(ends - part.tile_ptr[1:], counts) + np.arange(part.tiles)
    chosen: Int64 = values[index]
    return chosen


LEAST_FULL = 0.2
"""Share of the sample's steady part that counts as such however early places run out of work."""


def _all_work_until(outcome: RunOutcome, part: Grid, slots: int) -> int:
    """Instant at which the sample has no CTA left for a place that becomes free, in ps."""
    ends = np.sort(outcome.orders[0].consumed_ps[part.tile_ptr[1:] - 1])
    return int(ends[max(0, part.ctas - slots)])


def _marks(outcome: RunOutcome, course: Course, all_work_until: int) -> Int64:
    """[5] instants that bound the sample's head, the time in which all places work, tail and reduction, in ps."""
    first, end = course.first, course.end
    until = max(first + 1, min(end, max(all_work_until, first + round(LEAST_FULL * (course.last - first)))))
    end = max(until, end)
    return np.array([0, first, until, end, max(end, outcome.time_ps)], np.int64)


@dataclass(frozen=True)
class Stretch:
    """How the whole launch differs from its sample. until: instant up to which all places of the sample have work, ps;
    idle: of the whole's SMs, SM-ps; tensor: of its tiles' products, which come before all other causes, SM-ps;
    merge_ps: of the whole's reduction; refills: of its CTAs that follow another."""

    until: int
    idle: float
    tensor: float
    merge_ps: float
    refills: int


def _account(
    outcome: RunOutcome, course: Course, part: Grid, whole: Whole, by: Stretch, places: int
) -> dict[str, float]:
    """SM-ps by cause: of the sample its head as it is, and the rest stretched.

    What is left out of the whole runs with all `places` of an SM at work, until that is over in the sample too, with
    fewer CTAs that begin and end there; its tail is as much longer as SMs in the whole's are longer without work. How
    long that is and how long products take is known of the whole, and taken as it is.
    """
    detail = outcome.detail
    assert detail is not None
    marks = _marks(outcome, course, by.until)
    run = lives(detail.records, outcome.orders[0], part.tile_ptr)
    kinds = [] if run is None else [run.begins, run.ends]
    parts = account_parts(detail.records, detail.phases, marks, kinds)
    parts[:, 1:] /= places
    _, steady, last, merged = np.diff(marks).tolist()
    idle = float(parts[2, 0, NO_WORK])
    length = steady + last + whole.added_ps
    tail = (by.idle - float(parts[0, 0, NO_WORK])) / idle if idle else 1.0
    tail = min(max(0.0, tail), length / last) if last else 1.0
    full = max(0.0, length - tail * last)
    if run is None:
        middle = parts[1, 0] * (full / steady)
    else:
        turns = Turns(full / steady * float(parts[1, 0].sum()), by.refills)
        begun, ended = run.begun(course.first), run.ended(course.first)
        middle = steady_account(parts[1], parts[2], begun, ended, turns)
    head = parts[0, 0]
    known = {NO_WORK: by.idle - float(head[NO_WORK]), TENSOR: by.tensor - float(head[TENSOR])}
    body = with_known(middle + tail * parts[2, 0], known)
    total = head + body + by.merge_ps / max(1, merged) * parts[3, 0]
    return dict(zip(CAUSES, total.tolist(), strict=True))


def run_sampled(problem: Problem, whole: Coarse, every: Units, units: Units) -> Sampled:
    """Simulate the sampled CTAs `units` and predict the whole launch, of `every` CTA."""
    part = build_coarse(problem, units, attention_grid_of(problem, units))
    drawn = drawn_time(problem, whole)
    timing = drawn.time.attention
    if problem.memory.warm:
        hits = sample_of(whole.grid, timing.hits, part.grid)
        rows = timing.query_hits[: len(part.grid.query_ptr) - 1]
        part = replace(part, reuse=Reuse(part.reuse.objects, hits, query_hits=rows))
    some = drawn_time(problem, part).time
    held = some.attention.hits
    if problem.memory.warm:
        objects = sample_of(whole.grid, whole.reuse.objects, part.grid)
        held = found_before(whole.reuse.objects, timing.hits)[objects]
    outcome = run_detail(problem, units, held, some.attention.query_hits[part.grid.query])
    course = detail_course(outcome)
    sms = problem.hw.sm.count
    slots = sms * problem.cut.ctas_per_sm
    coarse = Course(some.attention.consumed, some.attention.end)
    size, size_part = (Size(grid.ctas, grid.tiles, slots) for grid in (whole.grid, part.grid))
    unequal = size.refills == 0 and whole.grid.ctas % problem.hw.sm.count != 0 and problem.cut.ctas_per_sm > 1
    tail_share = Course(timing.consumed, timing.end).tail_share
    looks_up = whole.grid.sample.tiles_per_look_up > 0
    run = Run(size, timing.end, timing.memory_share, unequal, tail_share, looks_up)
    predicted = extrapolate(course, coarse, size_part, run)
    merge = 0.0
    if whole.combine is not None:
        missed = (outcome.time_ps - course.end) - (some.end_ps - some.attention.end)
        merge = float(max(0, drawn.time.end_ps - timing.end + missed))
    time = predicted.end_ps + merge
    unseen = 0.0
    if not problem.memory.warm:
        found = found_share(whole.grid, timing.hits)
        unseen = found if looks_up else max(0.0, found - found_share(part.grid, some.attention.hits))
    stretch = Stretch(
        until=_all_work_until(outcome, part.grid, slots),
        idle=timing.idle * (predicted.end_ps - timing.start) / (timing.end - timing.start),
        tensor=float(whole.grid.sample.streams * whole.grid.product_ps),
        merge_ps=merge,
        refills=size.refills,
    )
    pair = Pair(whole, part, table_bytes(problem, every), table_bytes(problem, units))
    counters = whole_counters(outcome.counters, pair, timing, some.attention)
    return Sampled(
        time_ps=time,
        account=_account(outcome, course, part.grid, predicted, stretch, problem.cut.ctas_per_sm),
        counters=counters,
        relative_ci95=relative_ci95(predicted, time, chance_ps(drawn, unseen, tail_share)),
        pace=predicted.pace,
        share=part.grid.tiles / whole.grid.tiles,
    )
