"""Which format each page is kept in, as it ages or cools. Conversions are traffic, and they only ever
shrink a page: what was rounded away does not come back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kernels_ref.errors import InputError
from kernels_ref.kv_storage import STORAGE
from kernels_ref.metadata import Conversion, PageMetadata

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PageView:
    """Columns over physical pages that are full."""

    pages: npt.NDArray[np.int32]
    distance: Int64
    """Tokens between the page's end and the end of the sequence that is nearest to it."""
    heat: npt.NDArray[np.uint8]
    idle_steps: Int64


class PrecisionPolicy(Protocol):
    """`formats` from hot to cold; `level` gives each page its index in them."""

    @property
    def name(self) -> str: ...

    @property
    def formats(self) -> tuple[str, ...]: ...

    def level(self, view: PageView) -> npt.NDArray[np.int64]: ...


@dataclass(frozen=True, slots=True)
class OneFormat:
    """Every page stays as it was written."""

    fmt: str = "fp16"
    name: str = "one_format"

    @property
    def formats(self) -> tuple[str, ...]:
        return (self.fmt,)

    def level(self, view: PageView) -> npt.NDArray[np.int64]:
        return np.zeros(len(view.pages), np.int64)


@dataclass(frozen=True, slots=True)
class ByAge:
    """The last `hot_tokens` tokens of a sequence stay in `hot`, older ones in `cold` (residual window)."""

    hot: str
    cold: str
    hot_tokens: int
    name: str = "by_age"

    @property
    def formats(self) -> tuple[str, ...]:
        return (self.hot, self.cold)

    def level(self, view: PageView) -> npt.NDArray[np.int64]:
        return (view.distance >= self.hot_tokens).astype(np.int64)


@dataclass(frozen=True, slots=True)
class ByHeat:
    """Pages used fewer than `least_uses` times (shared prefixes are used by many) and idle for `idle_steps`
    get cold."""

    hot: str
    cold: str
    least_uses: int = 4
    idle_steps: int = 64
    name: str = "by_heat"

    @property
    def formats(self) -> tuple[str, ...]:
        return (self.hot, self.cold)

    def level(self, view: PageView) -> npt.NDArray[np.int64]:
        return ((view.heat < self.least_uses) & (view.idle_steps >= self.idle_steps)).astype(np.int64)


def check_precision(policy: PrecisionPolicy) -> None:
    """Raises InputError unless the formats are known and do not grow from hot to cold."""
    unknown = [fmt for fmt in policy.formats if fmt not in STORAGE]
    if unknown:
        raise InputError(f"kv_format: found {unknown[0]}; allowed: {', '.join(STORAGE)}")
    bits = [STORAGE[fmt].bits for fmt in policy.formats]
    if bits != sorted(bits, reverse=True):
        raise InputError(f"kv_format: found {' then '.join(policy.formats)}; the cold format cannot be wider")


def convert_pages(
    policy: PrecisionPolicy,
    metadata: PageMetadata,
    tables: Sequence[npt.NDArray[np.int32]],
    contexts: Sequence[int],
    page_tokens: int,
    step: int,
) -> list[Conversion]:
    """Convert every full page of these sequences whose format is wider than the policy wants, before the
    step.

    A shared page is as young as its youngest reader sees it. Part-filled pages are written to and never
    converted.
    """
    nearest: dict[int, int] = {}
    for table, context in zip(tables, contexts, strict=True):
        for page in range(context // page_tokens):
            distance = context - (page + 1) * page_tokens
            frame = int(table[page])
            nearest[frame] = min(distance, nearest.get(frame, distance))
    pages = np.array(list(nearest), np.int32)
    view = PageView(
        pages, np.array(list(nearest.values()), np.int64), metadata.heat[pages], metadata.age(step)[pages]
    )
    for frame, level in zip(pages, policy.level(view), strict=True):
        wanted = policy.formats[level]
        if STORAGE[wanted].bits < STORAGE[metadata.format_of(int(frame))].bits:
            metadata.convert(int(frame), wanted)
    return metadata.take_conversions()
