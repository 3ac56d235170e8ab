"""Memory managers to compare paging with, and how each wastes memory.

A sequence reserves slots when it starts, uses more of them as it generates, and gives all back at its end.
Four ways to place it: contiguous at the maximum length (what serving did before paging), contiguous with
power-of-two growth, pages, and an oracle that knows the final length and still needs a contiguous place.
Waste follows Kwon et al. (SOSP 2023): *reserved* slots will be used later, *internal* ones never (the rest
of a maximum, of a power of two, of the last page), *external* ones are free but in pieces too small for
what waits.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kernels_ref.errors import InputError

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Waste:
    """Slots (tokens) by what they hold, averaged over admission events."""

    used: float
    reserved: float
    internal: float
    external: float
    running: float

    @property
    def taken(self) -> float:
        """Slots that are not available to others."""
        return self.used + self.reserved + self.internal

    @property
    def waste_fraction(self) -> float:
        """Share of the taken slots that holds no token yet: what the paging paper plots."""
        return 1.0 - self.used / self.taken if self.taken else 0.0

    @property
    def internal_fraction(self) -> float:
        """Share of the taken slots that will never hold a token."""
        return self.internal / self.taken if self.taken else 0.0


class Reservation(Protocol):
    """How many slots a sequence takes: `now` for its current tokens, `never` of them for nothing at all."""

    name: str
    contiguous: bool

    def slots(self, tokens: int, final: int) -> int: ...


@dataclass(frozen=True, slots=True)
class MaximumLength:
    """Contiguous, the model's maximum reserved at once."""

    maximum: int
    name: str = "maximum_length"
    contiguous: bool = True

    def slots(self, tokens: int, final: int) -> int:
        return self.maximum


@dataclass(frozen=True, slots=True)
class PowerOfTwo:
    """Contiguous, doubled whenever it is full (the old place is given back after a copy)."""

    name: str = "power_of_two"
    contiguous: bool = True

    def slots(self, tokens: int, final: int) -> int:
        return 1 << (max(tokens, 1) - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Oracle:
    """Contiguous, exactly the final length, known in advance."""

    name: str = "oracle"
    contiguous: bool = True

    def slots(self, tokens: int, final: int) -> int:
        return final


@dataclass(frozen=True, slots=True)
class Paged:
    """Whole pages for the tokens that exist."""

    page_tokens: int = 16
    name: str = "paged"
    contiguous: bool = False

    def slots(self, tokens: int, final: int) -> int:
        return -(-tokens // self.page_tokens) * self.page_tokens


class FreeSpace:
    """Free slots of one memory as disjoint runs, first fit. Non-contiguous requests may be cut anywhere."""

    def __init__(self, capacity: int) -> None:
        self._runs: list[tuple[int, int]] = [(0, capacity)]

    @property
    def free(self) -> int:
        return sum(length for _, length in self._runs)

    @property
    def largest(self) -> int:
        return max((length for _, length in self._runs), default=0)

    def take(self, length: int) -> int | None:
        """Start of the first run that is long enough, or None."""
        for index, (start, run) in enumerate(self._runs):
            if run >= length:
                self._runs[index : index + 1] = [(start + length, run - length)] if run > length else []
                return start
        return None

    def give(self, start: int, length: int) -> None:
        """Return a run; neighbours join."""
        insort(self._runs, (start, length))
        index = bisect_left(self._runs, (start, length))
        for at in (index, index - 1):
            if 0 <= at < len(self._runs) - 1:
                (left, size), (right, more) = self._runs[at], self._runs[at + 1]
                if left + size == right:
                    self._runs[at : at + 2] = [(left, size + more)]


def steady_state_waste(
    input_length: Int64, output_length: Int64, capacity: int, kind: Reservation, maximum: int
) -> Waste:
    """Serve the requests in order, one token each per step, admitting as soon as the next one fits.

    `capacity` and `maximum` in tokens. The average is taken over steps while requests wait, that is at full
    load. Raises InputError if a request is longer than `maximum` or can never fit.
    """
    final = input_length + output_length
    if int(final.max()) > maximum or maximum > capacity:
        raise InputError(
            f"requests: longest found {int(final.max())} tokens, memory {capacity}; the maximum is {maximum}"
        )
    memory = _Memory(capacity, kind)
    sums = np.zeros(5)
    steps = 0
    waiting = 0
    while waiting < len(final):
        while waiting < len(final) and memory.admit(int(input_length[waiting]), int(final[waiting])):
            waiting += 1
        if waiting == len(final):
            break
        external = memory.unusable(int(input_length[waiting]), int(final[waiting]))
        sums += (*memory.content(), external, len(memory.running))
        steps += 1
        memory.step()
    return Waste(*(float(value) for value in sums / max(steps, 1)))


@dataclass(slots=True)
class _Running:
    tokens: int
    final: int
    start: int
    slots: int


class _Memory:
    """Sequences in one memory. Pages are counted, contiguous reservations are placed."""

    def __init__(self, capacity: int, kind: Reservation) -> None:
        self.kind = kind
        self.space = FreeSpace(capacity) if kind.contiguous else None
        self.free = capacity
        self.running: list[_Running] = []

    def admit(self, tokens: int, final: int) -> bool:
        slots = self.kind.slots(tokens, final)
        start = self._take(slots)
        if start is None:
            return False
        self.running.append(_Running(tokens, final, start, slots))
        return True

    def _take(self, slots: int) -> int | None:
        if self.space is not None:
            return self.space.take(slots)
        if slots > self.free:
            return None
        self.free -= slots
        return 0

    def _give(self, start: int, slots: int) -> None:
        if self.space is not None:
            self.space.give(start, slots)
        else:
            self.free += slots

    def step(self) -> None:
        """One more token each; who is done leaves, who cannot grow is preempted (its memory is given
        back)."""
        still: list[_Running] = []
        for sequence in self.running:
            done = sequence.tokens >= sequence.final
            if done or not self._grow(sequence):
                self._give(sequence.start, sequence.slots)
            else:
                still.append(sequence)
        self.running = still

    def _grow(self, sequence: _Running) -> bool:
        needed = self.kind.slots(sequence.tokens + 1, sequence.final)
        if needed > sequence.slots:
            if self.space is None:
                if self._take(needed - sequence.slots) is None:
                    return False
            else:
                start = self.space.take(needed)
                if start is None:
                    return False
                self.space.give(sequence.start, sequence.slots)
                sequence.start = start
            sequence.slots = needed
        sequence.tokens += 1
        return True

    def content(self) -> tuple[int, int, int]:
        """(used, reserved for later tokens, never used) slots."""
        used = sum(s.tokens for s in self.running)
        reserved = sum(min(s.slots, s.final) - s.tokens for s in self.running)
        internal = sum(max(0, s.slots - s.final) for s in self.running)
        return used, reserved, internal

    def unusable(self, tokens: int, final: int) -> int:
        """Free slots that the next request could use if they were in one piece: external fragmentation."""
        if self.space is None:
            return 0
        return self.space.free if self.space.free >= self.kind.slots(tokens, final) else 0
