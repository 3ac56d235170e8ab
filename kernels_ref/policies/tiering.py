"""Switches of a second tier, independent of each other: what stays below, what is written down when, what
is let in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Choice = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Whether a block that is brought up stays below too. Exclusive tiers hold more distinct blocks;
    inclusive ones need no write when an unchanged block is evicted above."""

    name: str
    keeps_copy: bool


EXCLUSIVE = Inclusion("exclusive", False)
INCLUSIVE = Inclusion("inclusive", True)
INCLUSION = {kind.name: kind for kind in (EXCLUSIVE, INCLUSIVE)}


class Writing(Protocol):
    """When a block is written to the tier below, if it is not there yet. `uses` counts its uses since it
    became resident above."""

    @property
    def name(self) -> str: ...

    def on_use(self, uses: Counts) -> Choice: ...

    def on_evict(self, uses: Counts) -> Choice: ...


class WriteThrough:
    """At once when a block is stored above: eviction is free, every block costs a write."""

    name = "through"

    def on_use(self, uses: Counts) -> Choice:
        return np.ones(len(uses), np.bool_)

    def on_evict(self, uses: Counts) -> Choice:
        return np.zeros(len(uses), np.bool_)


@dataclass(frozen=True, slots=True)
class WriteSelective:
    """When a block has been used `least_uses` times (SGLang's `write_through_selective`): blocks used once
    are never written, and are lost on eviction."""

    least_uses: int = 2
    name: str = "selective"

    def on_use(self, uses: Counts) -> Choice:
        return uses >= self.least_uses

    def on_evict(self, uses: Counts) -> Choice:
        return np.zeros(len(uses), np.bool_)


class WriteBack:
    """On eviction: nothing is written twice, but the eviction waits for the write."""

    name = "back"

    def on_use(self, uses: Counts) -> Choice:
        return np.zeros(len(uses), np.bool_)

    def on_evict(self, uses: Counts) -> Choice:
        return np.ones(len(uses), np.bool_)


WRITING: dict[str, Callable[[], Writing]] = {
    "through": WriteThrough,
    "selective": WriteSelective,
    "back": WriteBack,
}


class Admission(Protocol):
    """What the tier below lets in. `seen` counts the uses of a block since the start, across evictions."""

    @property
    def name(self) -> str: ...

    def admits(self, seen: Counts) -> Choice: ...


class AdmitAll:
    name = "all"

    def admits(self, seen: Counts) -> Choice:
        return np.ones(len(seen), np.bool_)


@dataclass(frozen=True, slots=True)
class AdmitFrequent:
    """Blocks that were used `least` times at all: spares a disk the write of what is never asked for again
    (KVBM's frequency filter). Too strict a filter leaves the tier unused."""

    least: int = 2
    name: str = "frequent"

    def admits(self, seen: Counts) -> Choice:
        return seen >= self.least


ADMISSION: dict[str, Callable[[], Admission]] = {"all": AdmitAll, "frequent": AdmitFrequent}
