"""What is known about each page besides its content, and what that knowledge costs.

Tables are counted as a device would hold them: an entry per page that names its frame and its precision,
and the page attributes that policies read. Scales of quantised formats are counted apart, since they belong
to the format: at 16 elements per scale they outweigh every table.
"""

from dataclasses import dataclass

import numpy as np

from kernels_ref.errors import InputError

ENTRY_BYTES = 4
"""A block-table entry: frame number and format."""

ATTRIBUTE_BITS = {
    "precision": 3,
    "heat": 8,
    "age": 16,
    "shareability": 8,
    "residency": 3,
    "eviction_state": 2,
}
"""Bits per page: 8 formats; saturating use count; steps since the last use (log scale not needed at 16 bits);
reference count, saturating; 8 tiers; evictable, pinned, in flight, gone."""

SECOND_LEVEL_ENTRIES = 512
"""Entries of one second-level table, as in a 4 KiB page of 8-byte pointers or 2 KiB of entries of 4."""
POINTER_BYTES = 8


@dataclass(frozen=True, slots=True)
class FormatBytes:
    """Storage of one format: bits of an element, and scale bytes per so many elements (0: none)."""

    bits: int
    scale_bytes: int = 0
    scale_elements: int = 0

    def payload(self, elements: int) -> float:
        return elements * self.bits / 8

    def scales(self, elements: int) -> float:
        return self.scale_bytes * elements / self.scale_elements if self.scale_elements else 0.0


FORMATS = {
    "fp16": FormatBytes(16),
    "bf16": FormatBytes(16),
    "fp8_e4m3": FormatBytes(8),
    "fp8_e5m2": FormatBytes(8),
    "int8": FormatBytes(8, 4, 128),
    "int4": FormatBytes(4, 4, 64),
    "mxfp8": FormatBytes(8, 1, 32),
    "mxfp4": FormatBytes(4, 1, 32),
    "nvfp4": FormatBytes(4, 1, 16),
}
"""int8: one fp32 scale per token and head of 128; int4: fp16 scale and zero point per 64; MX: e8m0 per 32;
NVFP4: e4m3 per 16 (its per-tensor fp32 factor is negligible)."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A page rewritten in another format: bytes read in the old one, written in the new one, scales
    included."""

    block: int
    source: str
    target: str


class PageMetadata:
    """Attributes of `pages` physical pages. Heat and age count uses and steps; the engine advances them."""

    def __init__(self, pages: int, fmt: str) -> None:
        self.formats = tuple(FORMATS)
        self.precision = np.full(pages, self._code(fmt), np.uint8)
        self.heat = np.zeros(pages, np.uint8)
        self.last_used = np.zeros(pages, np.int64)
        self.residency = np.zeros(pages, np.uint8)
        self.conversions: list[Conversion] = []

    def _code(self, fmt: str) -> int:
        if fmt not in self.formats:
            raise InputError(f"kv_format: found {fmt}; allowed: {', '.join(self.formats)}")
        return self.formats.index(fmt)

    def format_of(self, block: int) -> str:
        return self.formats[int(self.precision[block])]

    def use(self, blocks: "np.typing.NDArray[np.int32]", step: int) -> None:
        """The step reads these pages."""
        self.heat[blocks] += self.heat[blocks] < 255
        self.last_used[blocks] = step

    def age(self, step: int) -> "np.typing.NDArray[np.int64]":
        """[pages] steps since the last use, saturating at what 16 bits hold."""
        return np.minimum(step - self.last_used, 65535)

    def fresh(self, block: int, fmt: str, step: int) -> None:
        """The page is taken for new content."""
        self.precision[block] = self._code(fmt)
        self.heat[block] = 0
        self.last_used[block] = step

    def convert(self, block: int, fmt: str) -> None:
        """Change the precision of a page; nothing if it has it already. The traffic is in
        `take_conversions`."""
        source = self.format_of(block)
        if source == fmt:
            return
        self.precision[block] = self._code(fmt)
        self.conversions.append(Conversion(block, source, fmt))

    def take_conversions(self) -> list[Conversion]:
        done, self.conversions = self.conversions, []
        return done

    def move(self, source: int, target: int) -> None:
        """The attributes go with the content to another frame."""
        for column in (self.precision, self.heat, self.last_used, self.residency):
            column[target] = column[source]
