"""What the SMs execute in a kernel, padding included, and how it is cut: sums that do not depend on time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.coarse.estimate import Coarse
from sim.coarse.grid import Grid
from sim.lowering.launch import Launch


@dataclass(frozen=True)
class Operations:
    """FLOPs of the tensor cores, exponentials, expanded values, bytes into and out of shared memory."""

    tensor_flops: int = 0
    exps: int = 0
    unpack_values: int = 0
    sram_bytes: int = 0

    def __add__(self, other: "Operations") -> "Operations":
        return Operations(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))

    def times(self, count: int) -> "Operations":
        return Operations(*(count * value for value in _values(self)))


def _values(operations: Operations) -> tuple[int, int, int, int]:
    return operations.tensor_flops, operations.exps, operations.unpack_values, operations.sram_bytes


@dataclass(frozen=True)
class Totals:
    """A kernel's launches together; mma is the first one's, ctas_first and tiles_first count it alone."""

    operations: Operations
    ctas: int
    tiles: int
    ctas_first: int
    tiles_first: int
    scale_bytes: int
    mma: str


def launch_operations(launch: Launch, copies: NDArray[np.int64] | None = None) -> Operations:
    """Of one launch, each tile counted `copies` times (once where None)."""
    w = launch.work
    count = np.ones(launch.tiles, np.int64) if copies is None else copies
    return Operations(
        tensor_flops=int(((w.qk_flops + w.pv_flops) * count).sum()),
        exps=int((w.exps * count).sum()),
        unpack_values=int((w.unpack_values * count).sum()),
        sram_bytes=int(((w.sram_bytes + w.packed_bytes) * count).sum()),
    )


def totals_of_launches(launches: Sequence[Launch]) -> Totals:
    """Of launches that were lowered in full."""
    total = Operations()
    for launch in launches:
        total += launch_operations(launch)
    first = launches[0]
    return Totals(
        operations=total,
        ctas=sum(launch.ctas.count for launch in launches),
        tiles=sum(launch.tiles for launch in launches),
        ctas_first=first.ctas.count,
        tiles_first=first.tiles,
        scale_bytes=sum(launch.scale_bytes for launch in launches),
        mma=first.mma,
    )


def totals_of_coarse(kernel: Coarse) -> Totals:
    """Of a kernel at tile grain."""
    grids: list[Grid] = [kernel.grid, *([kernel.combine] if kernel.combine is not None else [])]
    total = Operations()
    for grid in grids:
        total += launch_operations(grid.sample, grid.copies)
    first = kernel.grid
    scale = first.sample.scale_bytes / max(1, int(first.sample.work.tokens.sum(dtype=np.int64)))
    tokens = int((first.sample.work.tokens * first.copies).sum())
    return Totals(
        operations=total,
        ctas=sum(grid.ctas for grid in grids),
        tiles=sum(grid.tiles for grid in grids),
        ctas_first=first.ctas,
        tiles_first=first.tiles,
        scale_bytes=round(scale * tokens),
        mma=first.sample.mma,
    )
