"""What the replay holds: the true history of every sequence, and the physical frames of the machine.

The history is indexed by *content* (what the engine means a page to hold), the store by *frame* (where the
machine has it). They are filled from the same seeded numbers once, and never touch again: a schedule or an
allocator that mixes up frames makes them differ.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.codecs.plain import DTYPES
from kernels_ref.replay_formats import Pages, encode_vectors
from kernels_ref.trace import Step

Ids = NDArray[np.int64]
CHUNK_TOKENS = 8192
"""Tokens generated at once: bounds the temporary memory."""


@dataclass(frozen=True)
class Contents:
    """What the engine means to be where, before the first event.

    `page` [P]: identity of the content of each table entry (equal ids: equal tokens after an equal prefix).
    `frame` [F]: content that each frame holds at the start, -1 for none. `frame_format` [F]: the format it is
    really stored in. `scales` [P]: frame from which the scales of an entry are read. `derived` [C, 2]: pairs
    (content, content made from it by copy and append).
    """

    page: Ids
    frame: Ids
    frame_format: NDArray[np.uint8]
    scales: Ids
    derived: Ids

    @classmethod
    def of(cls, step: Step) -> "Contents":
        """As the step's own table says: a frame is its content, copies are derived."""
        table = step.table.astype(np.int64)
        frame = np.full(step.frames, -1, np.int64)
        frame[table[table >= 0]] = table[table >= 0]
        copies = step.copies.astype(np.int64)
        frame[copies[:, 0]] = copies[:, 0]
        frame[copies[:, 1]] = -1
        return cls(table, frame, step.frame_format.copy(), table.copy(), copies)


def page_rows(step: Step, pages: Ids, position: Ids) -> Ids:
    """Row in a Pages array of each position, given the page that holds it."""
    return pages * step.page_tokens + position % step.page_tokens


class History:
    """Dequantised K and V of every content that the chosen sequences can see, in the step's precision."""

    def __init__(
        self, step: Step, contents: Contents, sequences: list[int], seed: int, head_dim: int
    ) -> None:
        self.step, self.contents, self.sequences = step, contents, sequences
        entries = np.concatenate(
            [np.arange(step.table_ptr[s], step.table_ptr[s + 1]) for s in sequences]
            or [np.zeros(0, np.int64)]
        )
        entries = entries[contents.page[entries] >= 0]
        parents = contents.derived[np.isin(contents.derived[:, 1], contents.page[entries]), 0]
        self.ids = np.unique(np.concatenate([contents.page[entries], parents]))
        scaled = not set(step.formats) <= set(DTYPES)
        heads = step.geometry.kv_heads
        self.pages = Pages(len(self.ids), step.page_tokens, heads, head_dim, scaled=scaled)
        self.wanted = self._formats(step.frame_format, entries)
        self._generate(np.random.default_rng([seed, 0]), head_dim)
        self._derive()

    def index(self, content: Ids) -> Ids:
        return np.searchsorted(self.ids, content)

    def knows(self, content: Ids) -> NDArray[np.bool_]:
        if not self.ids.size:
            return np.zeros(content.shape, dtype=bool)
        found: NDArray[np.bool_] = self.ids[np.minimum(self.index(content), self.ids.size - 1)] == content
        return found

    def values(self, sequence: int, head: int, tokens: Ids) -> NDArray[np.float64]:
        """True [T, heads, 2, D] of a sequence's tokens."""
        rows = self.rows(sequence, tokens)
        return self.pages.values(rows, head, rows)

    def rows(self, sequence: int, tokens: Ids) -> Ids:
        entry = self.step.table_ptr[sequence] + tokens // self.step.page_tokens
        return page_rows(self.step, self.index(self.contents.page[entry]), tokens)

    def _formats(self, frame_format: NDArray[np.uint8], entries: Ids) -> NDArray[np.uint8]:
        """Format of each content: that of the frame which the table gives it."""
        formats = np.zeros(len(self.ids), np.uint8)
        frames = self.step.table[entries]
        held = frames >= 0
        formats[self.index(self.contents.page[entries[held]])] = frame_format[frames[held]]
        for source, made in self.derived_pairs():
            formats[source] = formats[made]
        return formats

    def _generate(self, rng: np.random.Generator, head_dim: int) -> None:
        """Seeded normal numbers, coded as first stored, then as converted where that differs."""
        step, pages = self.step, self.pages
        held = np.full(len(self.ids), -1, np.int64)
        frames = np.flatnonzero(self.contents.frame >= 0)
        frames = frames[self.knows(self.contents.frame[frames])]
        held[self.index(self.contents.frame[frames])] = frames
        self.first = np.where(held >= 0, self.contents.frame_format[held], self.wanted)
        per_chunk = max(CHUNK_TOKENS // step.page_tokens, 1)
        self.original: dict[int, Any] = {}
        for start in range(0, len(self.ids), per_chunk):
            chunk = np.arange(start, min(start + per_chunk, len(self.ids)))
            shape = (len(chunk) * step.page_tokens, step.geometry.kv_heads, 2, head_dim)
            x = rng.standard_normal(shape, dtype=np.float32)
            if step.geometry.latent:
                x[:, :, 1] = x[:, :, 0]
            by_page = x.reshape(len(chunk), step.page_tokens, *shape[1:])
            for code in np.unique(self.first[chunk]).tolist():
                mine = np.flatnonzero(self.first[chunk] == code)
                self._put(chunk[mine], encode_vectors(step.formats[code], by_page[mine]))
        for page in np.flatnonzero(self.first != self.wanted).tolist():
            self.original[page] = tuple(part.copy() for part in pages.get(pages.rows(page)))
            pages.put(pages.rows(page), recoded(pages, page, step.formats[self.wanted[page]]))

    def _put(self, chunk: Ids, coded: Any) -> None:
        rows = (chunk[:, None] * self.step.page_tokens + np.arange(self.step.page_tokens)).ravel()
        self.pages.put(rows, tuple(part.reshape(rows.size, *part.shape[2:]) for part in coded))

    def _derive(self) -> None:
        """A copied page equals its source in every slot that no append of this step writes."""
        new = np.zeros(len(self.ids) * self.step.page_tokens, dtype=bool)
        new[self.appended_rows()] = True
        for source, made in self.derived_pairs():
            rows = np.arange(self.step.page_tokens)
            rows = rows[~new[made * self.step.page_tokens + rows]]
            self.pages.put(
                made * self.step.page_tokens + rows, self.pages.get(source * self.step.page_tokens + rows)
            )

    def derived_pairs(self) -> list[tuple[int, int]]:
        """(source, made) as page indices, of the derived contents that are known here."""
        pairs = self.contents.derived
        pairs = pairs[self.knows(pairs[:, 0]) & self.knows(pairs[:, 1])]
        return [(source, made) for source, made in self.index(pairs).tolist()]

    def appended_rows(self) -> Ids:
        """Rows that the appends of this step write."""
        sequence, position = (
            self.step.appends[:, 0].astype(np.int64),
            self.step.appends[:, 1].astype(np.int64),
        )
        content = self.contents.page[self.step.table_ptr[sequence] + position // self.step.page_tokens]
        known = self.knows(content)
        return page_rows(self.step, self.index(content[known]), position[known])


def recoded(pages: Pages, page: int, format_name: str) -> Any:
    """The page's values in another format."""
    codes, scale, zero = pages.get(pages.rows(page))
    return encode_vectors(format_name, codes * scale[..., None] + zero[..., None])
