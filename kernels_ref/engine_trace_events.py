"""What a memory manager and its policies did before a step, as the event columns of an engine trace."""

from collections.abc import Iterable, Sequence

import numpy as np

from kernels_ref.block_events import BlockCopied, BlockEvent, BlockRemoved
from kernels_ref.engine_trace_check import REASONS
from kernels_ref.engine_trace_io import StepEvents
from kernels_ref.errors import InputError
from kernels_ref.metadata import Conversion
from kernels_ref.migration import Move
from kernels_ref.trace import Int32


def step_events(
    events: Iterable[BlockEvent],
    formats: Sequence[str],
    conversions: Iterable[Conversion] = (),
    moves: Iterable[tuple[Move, int]] = (),
) -> StepEvents:
    """Evictions from the pool's events, conversions with formats as indices into `formats`, and moves, each with
    the residency code of its target. Raises InputError for a format that the step does not list."""
    made = list(conversions)
    unknown = {c.source for c in made} | {c.target for c in made}
    if wrong := sorted(unknown - set(formats)):
        raise InputError(
            f"conversions: found {wrong[0]}; allowed: the formats of the step, {', '.join(formats)}"
        )
    evicted = [(e.block, REASONS.index(e.reason)) for e in events if isinstance(e, BlockRemoved)]
    return StepEvents(
        conversions=_rows([(c.block, formats.index(c.source), formats.index(c.target)) for c in made], 3),
        migrations=_rows([(move.source, move.target, code) for move, code in moves], 3),
        evictions=_rows(evicted, 2),
    )


def step_copies(copies: Iterable[BlockCopied]) -> Int32:
    """`Step.copies` of what `BlockManager.take_copies` returned: source and target frame."""
    return _rows([(copy.source, copy.target) for copy in copies], 2)


def _rows(rows: Sequence[tuple[int, ...]], width: int) -> Int32:
    return np.array(rows, np.int32).reshape(-1, width)
