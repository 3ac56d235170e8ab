"""What a tile goes through on its SM, stage after stage; tiles of equal work share one chain.

A stage takes a unit of the SM or is a delay with its cause. On an SM whose units are free, which is the rule with one
CTA of one stream, a chain's stages follow each other without a gap: then its times are known at once.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.causes import INDEX
from sim.device.stage_times import StageTimes

TENSOR, SOFTMAX, UNPACK, ALU, ISSUE = (INDEX[c] for c in ("tensor", "softmax", "unpack", "alu", "issue"))
BARRIER, SRAM_BANDWIDTH = INDEX["barrier"], INDEX["sram_bandwidth"]
DELAY = -1
ISSUE_UNIT, TENSOR_UNIT, VECTOR_UNIT, UNPACK_UNIT, SRAM_UNIT = range(5)
UNITS = 5


class Step(NamedTuple):
    """One stage: index of the unit or DELAY, cause, duration in ps."""

    unit: int
    code: int
    duration: int


@dataclass(frozen=True)
class Chain:
    """Stages in order; `number` names the chain among those of a run."""

    number: int
    steps: tuple[Step, ...]

    @cached_property
    def duration(self) -> int:
        """ps from the first stage to the end of the last, on free units."""
        return sum(step.duration for step in self.steps)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """[stages, 3] code, begin, end of each stage on free units, in ps from the chain's begin."""
        ends = np.cumsum([step.duration for step in self.steps])
        codes = [step.code for step in self.steps]
        begins = ends - [step.duration for step in self.steps]
        return np.stack([codes, begins, ends], axis=1).astype(np.int64)

    @cached_property
    def bookings(self) -> tuple[tuple[int, int, int], ...]:
        """(unit, begin, end) of each stage that takes a unit, in order."""
        return tuple(
            (step.unit, int(begin), int(end))
            for step, (_, begin, end) in zip(self.steps, self.rows, strict=True)
            if step.unit != DELAY
        )

    @cached_property
    def busy(self) -> int:
        """ps after which no unit works for the chain any more."""
        return max((end for _, _, end in self.bookings), default=0)


def chains_of(parts: Iterable[StageTimes], first: int) -> tuple[list[Chain], "array[int]"]:
    """The different chains of a launch's tiles, which come in parts, numbered from `first` on, and each tile's index
    among them.
    """
    index: dict[tuple[int, ...], int] = {}
    chains: list[Chain] = []
    of_tile = array("i")
    for times in parts:
        work = zip(
            *(times.issue, times.unpack, times.read, times.qk, times.qk_stall),
            *(times.exp, times.alu, times.pv, times.pv_stall),
            strict=True,
        )
        for shape, alike in groupby(work):  # mostly all of a CTA
            of_tile.extend(repeat(index.setdefault(shape, len(index)), len(list(alike))))
        chains += (Chain(first + i, _steps(shape, times)) for shape, i in list(index.items())[len(chains) :])
    return chains, of_tile


def _steps(shape: Sequence[int], times: StageTimes) -> tuple[Step, ...]:
    """Emulated expansion and mma.sync work on the vector pipes, in competition with softmax; a barrier always ends a
    tile."""
    issue, unpack, read, qk, qk_stall, exp, alu, pv, pv_stall = shape
    product = VECTOR_UNIT if times.mma_sync else TENSOR_UNIT
    steps = (
        Step(ISSUE_UNIT, ISSUE, issue),
        Step(UNPACK_UNIT if times.unpack_native else VECTOR_UNIT, UNPACK, unpack),
        Step(SRAM_UNIT, SRAM_BANDWIDTH, read),
        Step(product, TENSOR, qk),
        Step(DELAY, SRAM_BANDWIDTH, qk_stall),
        Step(VECTOR_UNIT, SOFTMAX, exp),
        Step(VECTOR_UNIT, ALU, alu),
        Step(SRAM_UNIT, SRAM_BANDWIDTH, read),
        Step(product, TENSOR, pv),
        Step(DELAY, SRAM_BANDWIDTH, pv_stall),
    )
    return *(step for step in steps if step.duration > 0), Step(DELAY, BARRIER, times.barrier)
