"""The memory work of one launch as flat arrays: fetches made of byte runs, built by lowering."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class FetchKind(IntEnum):
    """READ completes with its last byte at the SM; WRITE is posted and completes on L2's acknowledgement."""

    READ = 0
    WRITE = 1


class TrafficClass(IntEnum):
    """What the bytes are, for counters."""

    KV = 0
    SHARED = 1
    METADATA = 2
    SCALES = 3
    QUERY = 4
    OUTPUT = 5
    PARTIAL = 6
    WEIGHT = 7


@dataclass(frozen=True)
class FetchTable:
    """F fetches over R runs. A fetch needs at least one run, a run at least one byte."""

    run_ptr: NDArray[np.int64]
    """[F + 1] bounds of each fetch's runs."""
    run_addr: NDArray[np.int64]
    """[R] physical byte address in device memory."""
    run_bytes: NDArray[np.int32]
    """[R]"""
    kind: NDArray[np.uint8]
    """[F] FetchKind."""
    cls: NDArray[np.uint8]
    """[F] TrafficClass."""
    entry_ptr: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    """[F + 1] bounds of each fetch's block-table entries for the hardware assist; [1] when there are none."""
    entry_addr: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """[E] byte address of each entry."""
    entry_ends: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """[L] ends of the lists of entries that are used in order, those of a CTA, within which the assist prefetches; [0]:
    each fetch has a list of its own."""

    def __post_init__(self) -> None:
        if len(self.run_ptr) != self.fetches + 1 or len(self.cls) != self.fetches:
            raise ValueError("run_ptr, kind and cls disagree on the number of fetches")
        if len(self.entry_ptr) not in (1, self.fetches + 1):
            raise ValueError("entry_ptr must have one bound more than there are fetches")
        if self.fetches and np.diff(self.run_ptr).min() < 1:
            raise ValueError("a fetch without runs")
        if len(self.run_bytes) and (self.run_bytes.min() < 1 or self.run_addr.min() < 0):
            raise ValueError("a run without bytes, or a negative address")

    @property
    def lists(self) -> NDArray[np.int64]:
        """[L] ends of the lists of entries."""
        return self.entry_ends if len(self.entry_ends) else self.entry_ptr[1:]

    @property
    def fetches(self) -> int:
        return len(self.kind)
