"""Classes of data by address, for an L2 that does not keep all data alike (`l2.residency`).

As on silicon, where a window of addresses carries an access property (CUDA's access policy window), what a run of
bytes is follows from where it lies.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.memory_system import L2
from sim.memory.addresses import AddressMap

Int64 = NDArray[np.int64]


class DataClass(IntEnum):
    """What the L2 may keep apart. OTHER (queries, outputs, partial results, states, weights) is always normal."""

    OTHER = 0
    METADATA = 1
    SHARED_PREFIX = 2
    STREAMING = 3


@dataclass(frozen=True)
class Regions:
    """[N] regions in order of address, each up to the next one's start; OTHER before the first."""

    start: Int64
    cls: Int64

    def classes_at(self, address: Int64) -> Int64:
        """[...] DataClass of what lies at each address."""
        if not len(self.start):
            return np.full(np.shape(address), DataClass.OTHER, np.int64)
        region = np.searchsorted(self.start, address, side="right") - 1
        classes: Int64 = np.where(region < 0, int(DataClass.OTHER), self.cls[region])
        return classes


NO_REGIONS = Regions(np.empty(0, np.int64), np.empty(0, np.int64))
"""All of memory is OTHER."""


def shared_frames(step: Step) -> NDArray[np.bool_]:
    """[F] whether the tables of two or more sequences name a frame (a table names a frame once)."""
    return np.bincount(step.table, minlength=step.frames) > 1


def regions_for(l2: L2, step: Step, addresses: AddressMap) -> Regions:
    """What this L2 has to know of a launch's memory: nothing, where it keeps all data alike."""
    return NO_REGIONS if l2.residency.is_plain else step_regions(step, addresses)


def step_regions(step: Step, addresses: AddressMap) -> Regions:
    """Pages of the KV pools, frame by frame, then block table and directory, then what has no class."""
    kv = np.where(shared_frames(step), int(DataClass.SHARED_PREFIX), int(DataClass.STREAMING))
    starts: list[Int64] = []
    classes: list[Int64] = []
    for index, parts in enumerate(addresses.parts):
        of_frames = kv[addresses.frame_format == index]
        for part in parts:
            size = part.token_bytes * addresses.heads * addresses.page_tokens
            starts.append(part.base + np.arange(len(of_frames) + 1, dtype=np.int64) * size)
            classes.append(np.append(of_frames, int(DataClass.OTHER)))
    starts.append(np.array([addresses.table_base, addresses.query_base], np.int64))
    classes.append(np.array([DataClass.METADATA, DataClass.OTHER], np.int64))
    start, cls = np.concatenate(starts), np.concatenate(classes)
    changes = np.concatenate([[True], cls[1:] != cls[:-1]])
    return Regions(start[changes], cls[changes])
