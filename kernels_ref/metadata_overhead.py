"""How many bytes describe the KV cache, against the KV bytes that they describe.

Three parts: block tables (an entry per page of each sequence), attributes (per physical page: precision,
heat, age, shareability, residency, eviction state), and the scales of quantised formats. The usual claim
"metadata is below 2 %" is about the first two; scales are reported beside it, since INT4 in groups of 32
adds 25 % (fp16 scale and zero point), NVFP4 12.5 %.

A flat table is a row of the maximum length for each running sequence, as serving engines hold it. A
two-level table has a root of pointers per sequence, and second-level tables of 512 entries only where there
are tokens.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels_ref.errors import InputError
from kernels_ref.kv_storage import STORAGE

ENTRY_BYTES = 4
"""A block-table entry: 29 bits of frame number, 3 of format."""
POINTER_BYTES = 8
"""A root entry of a two-level table."""
SECOND_LEVEL_ENTRIES = 512
ATTRIBUTE_BITS = {
    "precision": 3,
    "heat": 8,
    "age": 16,
    "shareability": 8,
    "residency": 3,
    "eviction_state": 2,
}
"""Bits per physical page: 8 formats; saturating use count; saturating steps since the last use; saturating
reference count; 8 tiers; evictable, pinned, in flight or gone."""
ATTRIBUTE_BYTES = sum(ATTRIBUTE_BITS.values()) // 8
LAYOUTS = ("flat", "two_level")


@dataclass(frozen=True, slots=True)
class KvShape:
    """What one token stores: `elements` numbers in all layers that share a block table (2 x layers x KV
    heads x head dim for K and V, layers x latent for MLA)."""

    elements: int
    fmt: str


@dataclass(frozen=True, slots=True)
class MetadataBytes:
    """Bytes by part. Fractions are of the KV payload, the capacity that holds keys and values."""

    table: int
    attributes: int
    scales: float
    payload: float

    @property
    def fraction(self) -> float:
        """Tables and attributes."""
        return (self.table + self.attributes) / self.payload

    @property
    def fraction_with_scales(self) -> float:
        return (self.table + self.attributes + self.scales) / self.payload


def metadata_bytes(
    contexts: npt.NDArray[np.int64],
    maximum: int,
    page_tokens: int,
    shape: KvShape,
    layout: str,
    physical_pages: int | None = None,
) -> MetadataBytes:
    """Metadata of running sequences with these contexts (tokens), the longest allowed being `maximum`.

    `physical_pages` is less than the sum over sequences where they share pages. Raises InputError for an
    unknown layout or format, or a context beyond the maximum.
    """
    if layout not in LAYOUTS:
        raise InputError(f"table layout: found {layout}; allowed: {', '.join(LAYOUTS)}")
    if shape.fmt not in STORAGE:
        raise InputError(f"kv_format: found {shape.fmt}; allowed: {', '.join(STORAGE)}")
    if len(contexts) == 0 or int(contexts.min()) < 1 or int(contexts.max()) > maximum or page_tokens < 1:
        raise InputError(f"contexts: found {contexts}; 1 to {maximum} tokens, pages of at least 1")
    pages = -(-contexts // page_tokens)
    stored = int(pages.sum()) if physical_pages is None else physical_pages
    elements = stored * page_tokens * shape.elements
    return MetadataBytes(
        table=_flat(pages, -(-maximum // page_tokens))
        if layout == "flat"
        else _two_level(pages, maximum, page_tokens),
        attributes=stored * ATTRIBUTE_BYTES,
        scales=STORAGE[shape.fmt].scales(elements),
        payload=STORAGE[shape.fmt].payload(elements),
    )


def _flat(pages: npt.NDArray[np.int64], longest: int) -> int:
    return len(pages) * longest * ENTRY_BYTES


def _two_level(pages: npt.NDArray[np.int64], maximum: int, page_tokens: int) -> int:
    root = -(-maximum // (page_tokens * SECOND_LEVEL_ENTRIES))
    tables = int((-(-pages // SECOND_LEVEL_ENTRIES)).sum())
    return len(pages) * root * POINTER_BYTES + tables * SECOND_LEVEL_ENTRIES * ENTRY_BYTES
