"""What is known about each physical page besides its content: precision, heat, age, residency.

Shareability is the reference count and the eviction state the free order, both in the block pool; here are
the attributes that only policies read. What all of it costs in bytes is in `metadata_overhead`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels_ref.errors import InputError
from kernels_ref.kv_storage import STORAGE

OLDEST = 65535
"""Ages saturate here: 16 bits are stored."""
HOTTEST = 255
"""Use counts saturate here: 8 bits are stored."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A page rewritten in another format in place."""

    block: int
    source: str
    target: str

    def traffic(self, elements: int) -> tuple[float, float]:
        """Bytes read in the old format and written in the new one for a page of `elements`, scales
        included."""
        source, target = STORAGE[self.source], STORAGE[self.target]
        return (
            source.payload(elements) + source.scales(elements),
            target.payload(elements) + target.scales(elements),
        )


class PageMetadata:
    """Attributes of `pages` physical pages, all in format `fmt` and in the device at first."""

    def __init__(self, pages: int, fmt: str) -> None:
        self.formats = tuple(STORAGE)
        self.precision = np.full(pages, self._code(fmt), np.uint8)
        self.heat = np.zeros(pages, np.uint8)
        self.last_used = np.zeros(pages, np.int64)
        self.residency = np.zeros(pages, np.uint8)
        self._conversions: list[Conversion] = []

    def _code(self, fmt: str) -> int:
        if fmt not in self.formats:
            raise InputError(f"kv_format: found {fmt}; allowed: {', '.join(self.formats)}")
        return self.formats.index(fmt)

    def format_of(self, block: int) -> str:
        return self.formats[int(self.precision[block])]

    def use(self, blocks: npt.NDArray[np.int32], step: int) -> None:
        """The step reads these pages, each at most once."""
        self.heat[blocks] += self.heat[blocks] < HOTTEST
        self.last_used[blocks] = step

    def cool(self) -> None:
        """Halve all heat, so that it counts recent uses."""
        self.heat >>= 1

    def age(self, step: int) -> npt.NDArray[np.int64]:
        """[pages] steps since the last use, at most OLDEST."""
        return np.minimum(step - self.last_used, OLDEST)

    def fresh(self, block: int, fmt: str, step: int) -> None:
        """The page is taken for new content."""
        self.precision[block] = self._code(fmt)
        self.heat[block] = 0
        self.last_used[block] = step
        self.residency[block] = 0

    def convert(self, block: int, fmt: str) -> None:
        """Change the precision of a page; nothing if it has it already. The conversion is owed to the trace
        until `take_conversions`."""
        source = self.format_of(block)
        if source == fmt:
            return
        self.precision[block] = self._code(fmt)
        self._conversions.append(Conversion(block, source, fmt))

    def take_conversions(self) -> list[Conversion]:
        """Conversions since the last call, in order."""
        done, self._conversions = self._conversions, []
        return done

    def move(self, source: int, target: int) -> None:
        """The attributes go with the content to another frame."""
        for column in (self.precision, self.heat, self.last_used):
            column[target] = column[source]
