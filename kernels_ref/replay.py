"""Functional replay: the order that a simulated machine really used, run on real data in physical frames.

Every fetch takes a snapshot of the frames at its time, every tile enters the running softmax from its
snapshot, every output is compared with one dense float64 softmax over the dequantised history. A schedule
that reads a frame before it was filled, or after it was reused, gives a wrong answer and fails.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.attention import grouped_scores
from kernels_ref.attention_state import SoftmaxState, normalise
from kernels_ref.errors import InputError
from kernels_ref.event_columns import COLUMNS, EventKind
from kernels_ref.replay_events import Schedule
from kernels_ref.replay_frames import FrameStore
from kernels_ref.replay_oracle import SCALE, all_visible, dense_rows, queries, visible_tokens
from kernels_ref.replay_store import Contents, History, Ids
from kernels_ref.trace import Step

__all__ = ["COLUMNS", "Contents", "EventKind", "ReplayReport", "Schedule", "replay"]

TOLERANCE = 1e-12
"""Largest |difference| / (1 + |expected|): the order of summation only."""
ROWS_CHECKED = 8
"""Query rows computed of each query tile, first and last included; a decode or verify step has fewer."""
FAULTS_KEPT = 50
NOT_A_NUMBER = sys.float_info.max
"""Error of an output that is NaN (poison was read): finite, since JSON has no infinity."""

Event = tuple[int, ...]
OutputKey = tuple[int, int, int]
"""Sequence, KV head (-1: all), first query row."""


@dataclass(frozen=True)
class ReplayReport:
    """`checked` outputs of (sequence, KV head, query tile); `ok` if all agree and there are no faults."""

    checked: int
    max_abs_error: float
    ok: bool
    faults: list[str]


def replay(
    schedule: Schedule,
    step: Step,
    *,
    seed: int,
    head_dim: int = 8,
    max_outputs: int | None = None,
    contents: Contents | None = None,
) -> ReplayReport:
    """Run the events in simulated order and compare every output.

    `head_dim` replaces the geometry's head and value dimension. `max_outputs` bounds the (sequence, KV head)
    pairs that are computed: whole sequences, evenly spread. `contents` says what the engine means to be
    where; without it, the step's own table is believed. Raises InputError for a schedule that names what does
    not exist.
    """
    contents = contents or Contents.of(step)
    sequences = chosen_sequences(step, max_outputs)
    with np.errstate(all="ignore"):
        machine = _Machine(schedule, step, contents, sequences, seed, head_dim)
        for event in schedule.ordered():
            machine.apply(event)
    return machine.report()


def chosen_sequences(step: Step, max_outputs: int | None) -> list[int]:
    """Sequences that produce an output, thinned evenly so that their KV heads stay within `max_outputs`."""
    active = np.flatnonzero((step.q_len > 0) & (step.context > 0))
    if max_outputs is None or len(active) * step.geometry.kv_heads <= max_outputs:
        return [int(s) for s in active]
    count = max(max_outputs // step.geometry.kv_heads, 1)
    return [int(s) for s in active[np.linspace(0, len(active) - 1, count).round().astype(np.int64)]]


@dataclass
class _Output:
    """Rows of one (sequence, KV head, query tile) on their way: queries, open and finished partials."""

    rows: Ids
    queries: NDArray[np.float64]
    partials: dict[int, SoftmaxState]
    finished: set[int]
    consumed: int = 0
    merged: bool = False


class _Machine:
    """State of a replay: frames, tiles in SRAM, partials; one method for each kind of event."""

    def __init__(
        self,
        schedule: Schedule,
        step: Step,
        contents: Contents,
        sequences: list[int],
        seed: int,
        head_dim: int,
    ) -> None:
        self.step, self.seed, self.head_dim = step, seed, head_dim
        self.faults: list[str] = []
        self.fault_count = 0
        self.chosen = set(sequences)
        self.history = History(step, contents, sequences, seed, head_dim)
        frames = _touched_frames(schedule, step, contents, sequences)
        self.store = FrameStore(step, contents, self.history, frames, self.faults)
        self.sram: dict[tuple[int, int, int, int], tuple[Ids, NDArray[np.float64]]] = {}
        self.outputs: dict[OutputKey, _Output] = {}
        self.rows_done = dict.fromkeys(((s, h) for s in sequences for h in range(step.geometry.kv_heads)), 0)
        self.worst = 0.0
        self.worst_relative = 0.0
        self.checked = 0
        self.handlers: dict[int, Callable[[dict[str, int]], None]] = {
            EventKind.FETCH_DONE: self.fetch_done,
            EventKind.TILE_CONSUMED: self.tile_consumed,
            EventKind.PARTIAL_DONE: self.partial_done,
            EventKind.MERGED: self.merged,
            EventKind.APPEND: lambda e: self.store.append(
                e["seq"], e["token_first"], max(e["token_count"], 1), e["frame"], e["tile"]
            ),
            EventKind.COPY: lambda e: self.store.copy(e["page_first"], e["frame"]),
            EventKind.MIGRATE_OUT: lambda e: self.store.migrate_out(e["frame"]),
            EventKind.MIGRATE_IN: lambda e: self.store.migrate_in(e["page_first"], e["frame"]),
            EventKind.FREE: lambda e: self.store.free(e["frame"]),
            EventKind.CONVERT: lambda e: self.store.convert(e["frame"], e["tile"]),
        }

    def apply(self, row: Event) -> None:
        event = dict(zip(COLUMNS, row, strict=True))
        if event["kind"] <= EventKind.MERGED and event["seq"] not in self.chosen:
            return
        self.handlers[event["kind"]](event)
        if len(self.faults) > FAULTS_KEPT:
            self.fault_count += len(self.faults) - FAULTS_KEPT
            del self.faults[FAULTS_KEPT:]

    def fetch_done(self, event: dict[str, int]) -> None:
        tokens = self._tokens(event)
        self._check_wanted(event)
        data = self.store.read(
            event["seq"], event["kv_head"], event["token_first"], event["token_count"], event["frame"]
        )
        self.sram[_tile(event)] = (tokens, data)

    def tile_consumed(self, event: dict[str, int]) -> None:
        tile = self.sram.pop(_tile(event), None)
        if tile is None:
            self.faults.append(f"{_named(event)}: tile {event['tile']} is consumed before it was fetched")
            return
        output = self._output(event)
        if event["split"] in output.finished:
            self.faults.append(f"{_named(event)}: a tile follows the end of split {event['split']}")
        state = output.partials.get(event["split"])
        if state is None:
            heads, rows, dim = output.queries.shape
            state = output.partials[event["split"]] = SoftmaxState.empty(heads, rows, dim)
        tokens, data = tile
        seen = None
        if not all_visible(self.step, event["seq"], output.rows, tokens):
            seen = visible_tokens(self.step, event["seq"], output.rows, tokens)
            wanted = seen.any(axis=0)
            data, seen = data[wanted], seen[None, :, wanted]
        output.consumed += len(data)
        k, v = (data[:, :, part].swapaxes(0, 1) for part in (0, 1))
        scores = grouped_scores(output.queries, k) * (SCALE * self.head_dim**-0.5)
        state.update(scores, seen, v)

    def partial_done(self, event: dict[str, int]) -> None:
        self._output(event).finished.add(event["split"])

    def merged(self, event: dict[str, int]) -> None:
        output = self._output(event)
        if output.merged:
            self.faults.append(f"{_named(event)}: merged twice")
        output.merged = True
        self._check_complete(event, output)
        total = SoftmaxState.empty(*output.queries.shape)
        for split, state in output.partials.items():
            if split in output.finished:
                total.absorb(state)
        output.partials.clear()
        self._compare(event, output, normalise(total).out)

    def report(self) -> ReplayReport:
        missing = [key for key, rows in self.rows_done.items() if rows != int(self.step.q_len[key[0]])]
        for sequence, head in missing[:FAULTS_KEPT]:
            rows = f"{self.rows_done[sequence, head]} of {int(self.step.q_len[sequence])}"
            self.faults.append(f"sequence {sequence} head {head}: {rows} query rows were computed")
        for cta, tile, *_ in list(self.sram)[:FAULTS_KEPT]:
            self.faults.append(f"tile {tile} of CTA {cta} was fetched and never consumed")
        if self.fault_count:
            self.faults.append(f"and {self.fault_count} more faults")
        ok = not self.faults and self.worst_relative <= TOLERANCE
        return ReplayReport(self.checked, self.worst, ok, self.faults)

    def _tokens(self, event: dict[str, int]) -> Ids:
        first, count = event["token_first"], event["token_count"]
        if first < 0 or count < 1 or not -1 <= event["kv_head"] < self.step.geometry.kv_heads:
            raise InputError(
                f"schedule: {_named(event)}: tokens {first} to {first + count - 1}; found no such tile"
            )
        return np.arange(first, first + count, dtype=np.int64)

    def _check_wanted(self, event: dict[str, int]) -> None:
        """Every page that is read must hold a token that some row of the step sees."""
        step, sequence = self.step, event["seq"]
        newest = int(step.context[sequence]) - 1
        oldest = 0
        if step.geometry.window > 0:
            oldest = max(newest + 1 - int(step.q_len[sequence]) - step.geometry.window + 1, 0)
        first, last = event["token_first"], event["token_first"] + event["token_count"] - 1
        for token in (first, last):
            if not oldest // step.page_tokens <= token // step.page_tokens <= newest // step.page_tokens:
                page = token // step.page_tokens
                self.faults.append(f"{_named(event)}: page {page} is read, which no query row sees")
                return

    def _output(self, event: dict[str, int]) -> _Output:
        key = (event["seq"], event["kv_head"], event["q_first"])
        if key not in self.outputs:
            q_len = int(self.step.q_len[event["seq"]])
            count = event["q_count"] if event["q_count"] >= 0 else q_len - event["q_first"]
            picked = np.linspace(0, count - 1, min(count, ROWS_CHECKED)).round().astype(np.int64)
            rows = event["q_first"] + picked
            made = queries(self.step, self.seed, self.head_dim, event["seq"], event["kv_head"], rows)
            self.outputs[key] = _Output(rows, made, {}, set())
        return self.outputs[key]

    def _check_complete(self, event: dict[str, int], output: _Output) -> None:
        if open_splits := sorted(set(output.partials) - output.finished):
            self.faults.append(f"{_named(event)}: merged before split {open_splits[0]} was done")
        tokens = np.arange(int(self.step.context[event["seq"]]), dtype=np.int64)
        wanted = int(visible_tokens(self.step, event["seq"], output.rows, tokens).any(axis=0).sum())
        if output.consumed != wanted:
            self.faults.append(f"{_named(event)}: {output.consumed} tokens entered, {wanted} are visible")

    def _compare(self, event: dict[str, int], output: _Output, out: NDArray[Any]) -> None:
        expected = dense_rows(
            self.step, self.history, event["seq"], event["kv_head"], output.rows, output.queries
        )
        error = np.abs(out - expected)
        error = np.where(np.isfinite(error), error, NOT_A_NUMBER)
        largest = float(error.max(initial=0.0))
        relative = float((error / (1 + np.abs(expected))).max(initial=0.0))
        if relative > TOLERANCE:
            self.faults.append(f"{_named(event)}: output differs from the oracle by {largest:.3g}")
        self.worst, self.worst_relative = max(self.worst, largest), max(self.worst_relative, relative)
        heads = range(self.step.geometry.kv_heads) if event["kv_head"] < 0 else (event["kv_head"],)
        q_len = int(self.step.q_len[event["seq"]])
        for head in heads:
            rows = event["q_count"] if event["q_count"] >= 0 else q_len - event["q_first"]
            self.rows_done[event["seq"], head] += rows
            self.checked += 1


def _tile(event: dict[str, int]) -> tuple[int, int, int, int]:
    """A tile in SRAM: a CTA may hold tiles of several KV heads, and of several sequences (cascade)."""
    return event["cta"], event["tile"], event["seq"], event["kv_head"]


def _named(event: dict[str, int]) -> str:
    return f"sequence {event['seq']} head {event['kv_head']}"


def _touched_frames(schedule: Schedule, step: Step, contents: Contents, sequences: list[int]) -> Ids:
    """Frames that the chosen sequences can read, and those that copies and migrations connect to them."""
    rows = [step.row(s).astype(np.int64) for s in sequences]
    scales = [contents.scales[step.table_ptr[s] : step.table_ptr[s + 1]] for s in sequences]
    mine = np.isin(schedule.seq, sequences) & (schedule.frame >= 0)
    touched = set(
        np.unique(np.concatenate([*rows, *scales, schedule.frame[mine], np.zeros(0, np.int64)])).tolist()
    )
    moves = np.isin(schedule.kind, (EventKind.COPY, EventKind.MIGRATE_IN))
    pairs = list(zip(schedule.page_first[moves].tolist(), schedule.frame[moves].tolist(), strict=True))
    for source, target in pairs[::-1] + pairs:
        if source in touched or target in touched:
            touched |= {source, target}
    touched.discard(-1)
    if touched and not 0 <= min(touched) <= max(touched) < step.frames:
        raise InputError(
            f"schedule: frames {min(touched)} to {max(touched)}; allowed: 0 to {step.frames - 1}"
        )
    return np.array(sorted(touched), np.int64)
