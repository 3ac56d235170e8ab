"""One streaming multiprocessor: its units, and the record of what happens on it."""

from typing import Protocol

from sim.causes import BUSY
from sim.device.chain import UNITS, Chain
from sim.device.recorder import Recorder
from sim.device.unit import Unit

WAITING = len(BUSY)
"""Codes from here on are causes of waiting."""


class Resident(Protocol):
    """A CTA: the record of what it does is complete up to `covered` (ps)."""

    covered: int


class Sm:
    """Units shared by the resident CTAs. The vector pipes serve softmax, FP32 work and emulated expansion alike,
    and the products of kernels whose warps issue them one by one (mma.sync).

    free_at: ps from which on no unit has work booked. present: simulated time in ps; whoever books work sets it.
    """

    __slots__ = ("_alone", "free_at", "index", "present", "recorder", "residents", "units")

    def __init__(self, index: int) -> None:
        self.index = index
        self.recorder = Recorder()
        self.residents: list[Resident] = []
        self.units = tuple(Unit() for _ in range(UNITS))
        self.free_at = 0
        self.present = 0
        self._alone: tuple[Chain, int] | None = None

    def enter(self, cta: Resident, now: int) -> None:
        self.residents.append(cta)
        self.recorder.enter(now)

    def leave(self, cta: Resident, now: int) -> None:
        self.residents.remove(cta)
        self.recorder.leave(now)

    def recorded(self, now: int) -> int:
        """Instant up to which the record is complete, at the present `now`: what is recorded later begins then or
        later."""
        return min([now, *(cta.covered for cta in self.residents)])

    def run_alone(self, chain: Chain, ready: int) -> int:
        """Run a whole chain from `ready` on, the present, when all units are free; the time at which it ends.

        Its bookings are entered when somebody asks for a unit before they are over.
        """
        self.recorder.chain(chain.number, ready)
        self._alone = (chain, ready)
        self.free_at = ready + chain.busy
        return ready + chain.duration

    def work(self, unit: int, code: int, ready: int, duration: int) -> int:
        """Run one stage from `ready` on; the time at which it ends. What it does is recorded here, a cause of waiting
        by the CTA, which has one at a time."""
        if duration <= 0:
            return ready
        if self._alone is not None:
            chain, start = self._alone
            for used, begin, end in chain.bookings:
                self.units[used].spans.append((start + begin, start + end))
            self._alone = None
        booked = self.units[unit].reserve(ready, duration, self.present)
        end = booked[-1][1]
        if code < WAITING:
            for begin, until in booked:
                self.recorder.add(code, begin, until)
        if end > self.free_at:
            self.free_at = end
        return end
