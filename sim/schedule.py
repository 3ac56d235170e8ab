"""The simulated order of an attention run as event columns, for the functional replay.

What a machine did, without time units other than ps and without values. Each CTA group over heads counts as one
head of the replay. Copy-on-write and the new tokens come before the step; pages from a tier enter their frame when
the machine had written them there.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kernels_ref.event_columns import COLUMNS, EventKind
from kernels_ref.trace import Step
from sim.attention_run import AttentionRun
from sim.errors import InputError
from sim.lowering.combine import combine_starts

Columns = dict[str, NDArray[np.int64]]


def _rows(count: int, **values: NDArray[np.int64] | int) -> Columns:
    blank = {name: np.full(count, 0 if name == "q_first" else -1, np.int64) for name in COLUMNS}
    return blank | {name: np.broadcast_to(np.asarray(v, np.int64), (count,)) for name, v in values.items()}


def replay_step(step: Step, run: AttentionRun) -> Step:
    """The step as the replay sees it: one KV head and one query head per CTA group."""
    groups = int(run.units.head_group.max()) + 1
    return replace(step, geometry=replace(step.geometry, q_heads=groups, kv_heads=groups))


def _tile_events(step: Step, run: AttentionRun) -> list[Columns]:
    launch, units, order = run.launches[0], run.units, run.outcome.orders[0]
    ctas = np.repeat(np.arange(launch.ctas.count), np.diff(launch.ctas.tile_ptr))
    lo = launch.work.token_first.astype(np.int64)
    hi = lo + launch.work.tokens
    page = lo // step.page_tokens
    common = {
        "cta": ctas,
        "tile": np.arange(launch.tiles),
        "seq": units.sequence[ctas],
        "kv_head": units.head_group[ctas],
        "page_first": page,
        "page_count": -(-hi // step.page_tokens) - page,
        "token_first": lo,
        "token_count": hi - lo,
    }
    query = {"split": units.split[ctas], "q_first": units.q_first[ctas], "q_count": units.q_count[ctas]}
    arrived = run.outcome.arrivals_ps[: launch.tiles]
    return [
        _rows(launch.tiles, time_ps=arrived, kind=EventKind.FETCH_DONE, **common),
        _rows(launch.tiles, time_ps=order.consumed_ps, kind=EventKind.TILE_CONSUMED, **common, **query),
    ]


def _output_events(run: AttentionRun) -> list[Columns]:
    units, outcome = run.units, run.outcome
    finished = outcome.orders[0].finished_ps
    output = {
        "seq": units.sequence,
        "kv_head": units.head_group,
        "q_first": units.q_first,
        "q_count": units.q_count,
    }
    partial = _rows(
        len(finished),
        time_ps=finished,
        kind=EventKind.PARTIAL_DONE,
        cta=np.arange(len(finished)),
        split=units.split,
        **output,
    )
    leader = np.flatnonzero(units.split == 0)
    merged = finished[leader].copy()
    if run.candidate.cut.clustered:
        merged = np.maximum.reduceat(finished, leader)
    if len(run.launches) > 1:
        split = np.flatnonzero(units.splits[leader] > 1)
        merged[split] = np.maximum.reduceat(
            outcome.orders[1].finished_ps, combine_starts(units, run.candidate.cut)
        )
    done = {name: values[leader] for name, values in output.items()}
    return [partial, _rows(len(leader), time_ps=merged, kind=EventKind.MERGED, **done)]


def _page_events(step: Step, run: AttentionRun) -> list[Columns]:
    """What changes frames: copies, new tokens, and pages that arrived from a tier."""
    copies, appends = step.copies.astype(np.int64), step.appends.astype(np.int64)
    events = [
        _rows(len(copies), time_ps=0, kind=EventKind.COPY, page_first=copies[:, 0], frame=copies[:, 1]),
        _rows(
            len(appends),
            time_ps=0,
            kind=EventKind.APPEND,
            seq=appends[:, 0],
            token_first=appends[:, 1],
            token_count=1,
            frame=appends[:, 2],
        ),
    ]
    arrived = run.outcome.pages_arrived_ps
    if run.tiers is not None and arrived is not None:
        came = arrived >= 0
        frame = run.tiers.copies.frame[came]
        events.append(
            _rows(len(frame), time_ps=arrived[came], kind=EventKind.MIGRATE_IN, page_first=frame, frame=frame)
        )
    return events


def schedule_columns(step: Step, run: AttentionRun) -> Columns:
    """All events in time order (ties: changes of frames, then fetch, consume, partial, merge).

    Raises InputError for kernels that do not keep an output in the CTA that owns its rows.
    """
    profile = run.candidate.cut.profile
    if profile.algorithm != "flash":
        raise InputError(f"--verify: {profile.name} is a {profile.algorithm} kernel; allowed: flash kernels")
    parts = _page_events(step, run) + _tile_events(step, run) + _output_events(run)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    order = np.argsort(joined["time_ps"], kind="stable")
    return {name: column[order] for name, column in joined.items()}
