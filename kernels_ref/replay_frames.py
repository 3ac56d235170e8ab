"""The physical frames of the replay: real coded data, moved only by events, poisoned when it is not there.

A slot that was never written, a frame that was freed or has not arrived yet holds NaN, so whoever reads it
gets a wrong answer. What an event does wrong in itself (double free, write into a shared frame) is a fault.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.replay_formats import Pages, encode_vectors
from kernels_ref.replay_store import CHUNK_TOKENS, Contents, History, Ids
from kernels_ref.trace import DEVICE, Step


class FrameStore:
    """Frames `ids` of a step; every event method takes frame ids and notes what is wrong in `faults`."""

    def __init__(self, step: Step, contents: Contents, history: History, ids: Ids, faults: list[str]) -> None:
        self.step, self.contents, self.history, self.faults = step, contents, history, faults
        self.slot_of = {frame: slot for slot, frame in enumerate(ids.tolist())}
        self.table = step.table.astype(np.int64)
        self.scales = contents.scales.copy()
        self.readers = np.bincount(self.table[self.table >= 0], minlength=step.frames)
        self.format = contents.frame_format.copy()
        self.freed: set[int] = set()
        self.tier: dict[int, Any] = {}
        heads, dim = history.pages.codes.shape[1], history.pages.codes.shape[3]
        self.pages = Pages(len(ids), step.page_tokens, heads, dim, scaled=history.pages.scaled)
        self._fill(ids)
        for frame in ids[step.frame_residency[ids] != DEVICE].tolist():
            self.tier[frame] = self._contents_of(frame)
            self._poison(frame)
        self.absent = set(self.tier)

    def read(self, sequence: int, head: int, first: int, count: int, frame: int) -> NDArray[np.float64]:
        """[count, heads, 2, D] as they are now, through the block table or from one named frame."""
        size = self.step.page_tokens
        start, end = self.step.table_ptr[sequence : sequence + 2].tolist()
        low, high = start + first // size, start + (first + count - 1) // size + 1
        frames = self.table[low : min(high, end)] if frame < 0 else np.full(high - low, frame, np.int64)
        if high - low > len(frames):
            frames = np.concatenate([frames, np.full(high - low - len(frames), -1, np.int64)])
        slots = np.array([self._readable(sequence, f) for f in frames.tolist()], np.int64)
        offsets = np.arange(first % size, first % size + count)
        page = offsets // size
        rows = slots[page] * size + offsets % size
        named = frames if frame >= 0 or high > end else self.scales[low:high]
        scale_rows = rows
        if not np.array_equal(named, frames):
            scale_slots = np.array([self.slot_of.get(f, 0) for f in named.tolist()], np.int64)
            scale_rows = scale_slots[page] * size + offsets % size
        values = self.pages.values(rows, head, scale_rows)
        if slots.min() < 0:
            values[slots[page] < 0] = np.nan
        return values

    def append(self, sequence: int, first: int, count: int, frame: int, slot: int) -> None:
        """Write the true data of new tokens where the machine wrote it."""
        positions = np.arange(first, first + count, dtype=np.int64)
        entries = self.step.table_ptr[sequence] + positions // self.step.page_tokens
        frames = self.table[entries] if frame < 0 else np.full(count, frame, np.int64)
        for target in np.unique(frames).tolist():
            if target in self.slot_of:
                self._check_append(sequence, first, target)
                self.freed.discard(target)
        slots = np.array([self.slot_of.get(f, -1) for f in frames.tolist()], np.int64)
        rows = slots * self.step.page_tokens + (positions if slot < 0 else slot) % self.step.page_tokens
        known = self.history.knows(self.contents.page[entries])
        right, unknown = known & (slots >= 0), ~known & (slots >= 0)
        self.pages.put(rows[right], self.history.pages.get(self.history.rows(sequence, positions[right])))
        self.pages.codes[rows[unknown]] = np.nan

    def copy(self, source: int, target: int) -> None:
        if source in self.freed:
            self.faults.append(f"frame {source} is copied after it was freed")
        if source in self.slot_of and target in self.slot_of:
            self._restore(target, self._contents_of(source))
            self.format[target] = self.format[source]

    def migrate_out(self, frame: int) -> None:
        if frame in self.slot_of:
            self.tier[frame] = self._contents_of(frame)

    def migrate_in(self, source: int, target: int) -> None:
        if source not in self.tier:
            if source not in self.slot_of:
                return
            self.tier[source] = self._contents_of(source)
        if target not in self.slot_of:
            return
        if target != source and self.readers[target]:
            self.faults.append(f"page {source} is brought into frame {target}, which a table still names")
        self._restore(target, self.tier.pop(source))
        self.format[target] = self.format[source]
        if target != source:
            self.scales[self.scales == source] = target
            self.table[self.table == source] = target
            self.readers[target], self.readers[source] = self.readers[source], 0

    def free(self, frame: int) -> None:
        if frame in self.freed:
            self.faults.append(f"frame {frame} is freed twice")
        self.freed.add(frame)
        self._poison(frame)

    def convert(self, frame: int, code: int) -> None:
        """Recode a frame in place; the format stays what it was if there is no data to convert."""
        if frame not in self.slot_of:
            return
        code = int(self.step.frame_format[frame]) if code < 0 else code
        if self.format[frame] != code:
            page = self.slot_of[frame]
            held = ~np.isnan(self.pages.codes[self.pages.rows(page), 0, 0, 0])
            rows = np.arange(self.pages.rows(page).start, self.pages.rows(page).stop)[held]
            codes, scale, zero = self.pages.get(rows)
            values = codes * scale[..., None] + zero[..., None]
            self.pages.put(rows, encode_vectors(self.step.formats[code], values))
            self.format[frame] = code

    def _readable(self, sequence: int, frame: int) -> int:
        """Slot of a frame that can be read now; otherwise -1, and a fault that says why."""
        slot = self.slot_of.get(frame, -1)
        if slot < 0:
            self.faults.append(f"sequence {sequence} reads frame {frame}, which its table does not hold")
        elif frame in self.absent:
            self.faults.append(f"sequence {sequence} reads frame {frame} before its page has arrived")
        elif frame in self.freed:
            self.faults.append(f"sequence {sequence} reads frame {frame} after it was freed")
        elif self.format[frame] != self.step.frame_format[frame]:
            named, real = (self.step.formats[f[frame]] for f in (self.step.frame_format, self.format))
            self.faults.append(f"sequence {sequence} reads frame {frame} as {named}, it is stored as {real}")
        else:
            return slot
        return -1

    def _check_append(self, sequence: int, position: int, target: int) -> None:
        where = f"token {position} of sequence {sequence} is written to frame {target}"
        if self.readers[target] > 1:
            self.faults.append(f"{where}, which {self.readers[target]} table entries share")
        if target in self.tier:
            self.faults.append(f"{where} after its migration had read it")

    def _contents_of(self, frame: int) -> Any:
        rows = self.pages.rows(self.slot_of[frame])
        return tuple(part.copy() for part in self.pages.get(rows))

    def _restore(self, frame: int, data: Any) -> None:
        self.pages.put(self.pages.rows(self.slot_of[frame]), data)
        self.freed.discard(frame)
        self.absent.discard(frame)

    def _poison(self, frame: int) -> None:
        if frame in self.slot_of:
            self.pages.codes[self.pages.rows(self.slot_of[frame])] = np.nan

    def _fill(self, ids: Ids) -> None:
        """Frames as they are before the first event: contents where they belong, NaN in unwritten slots."""
        content = np.where(self.history.knows(self.contents.frame[ids]), self.contents.frame[ids], -1)
        slots = np.flatnonzero(content >= 0)
        valid = self._written()
        offsets = np.arange(self.step.page_tokens)
        per_chunk = max(CHUNK_TOKENS // self.step.page_tokens, 1)
        for start in range(0, len(slots), per_chunk):
            chunk = slots[start : start + per_chunk]
            source = (self.history.index(content[chunk])[:, None] * self.step.page_tokens + offsets).ravel()
            target = (chunk[:, None] * self.step.page_tokens + offsets).ravel()
            held = valid[source]
            self.pages.put(target[held], self.history.pages.get(source[held]))
        for page, data in self.history.original.items():
            for slot in np.flatnonzero(content == self.history.ids[page]).tolist():
                held = valid[self.pages.rows(page)]
                rows = np.arange(self.step.page_tokens)[held]
                self.pages.put(slot * self.step.page_tokens + rows, tuple(part[rows] for part in data))

    def _written(self) -> NDArray[np.bool_]:
        """Slots of each content that hold a token before the first event, as rows of the history."""
        step, history = self.step, self.history
        valid = np.zeros(len(history.ids) * step.page_tokens, dtype=bool)
        for sequence in history.sequences:
            tokens = np.arange(int(step.context[sequence]), dtype=np.int64)
            entry = step.table_ptr[sequence] + tokens // step.page_tokens
            valid[history.rows(sequence, tokens[self.contents.page[entry] >= 0])] = True
        for row in history.appended_rows():
            valid[row] = False
        for source, made in history.derived_pairs():
            into, origin = (slice(p * step.page_tokens, (p + 1) * step.page_tokens) for p in (made, source))
            valid[origin] |= valid[into]
        return valid
