"""When pages that lie in a lower tier are brought up, before or as they are needed.

A policy looks at the queue at one instant and names the requests whose cold pages to fetch now, first
things first. The caller owns the links and the room: it starts as many of them as fit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Prospect:
    """A request that is or may be coming. `cold_bytes` of its pages lie below. `due_ns` is when it is
    expected to run: now for the one being scheduled, an estimate for a waiting one, a prediction for a
    session that may return."""

    request: int
    cold_bytes: int
    due_ns: float
    arrived: bool
    scheduled: bool = False


class WarmUp(Protocol):
    """`bandwidth_gb_s` is what the link would give to a fetch now."""

    @property
    def name(self) -> str: ...

    def choose(self, prospects: Sequence[Prospect], now_ns: float, bandwidth_gb_s: float) -> list[int]: ...


class NoWarmUp:
    """Never: cold pages are read in place over the link, each time."""

    name = "none"

    def choose(self, prospects: Sequence[Prospect], now_ns: float, bandwidth_gb_s: float) -> list[int]:
        return []


class Reactive:
    """Only when the request is scheduled: it waits for its pages."""

    name = "reactive"

    def choose(self, prospects: Sequence[Prospect], now_ns: float, bandwidth_gb_s: float) -> list[int]:
        return [p.request for p in prospects if p.scheduled and p.cold_bytes]


class OnArrival:
    """As soon as a request arrives, in order of arrival: early, and it may push out what is needed sooner."""

    name = "on_arrival"

    def choose(self, prospects: Sequence[Prospect], now_ns: float, bandwidth_gb_s: float) -> list[int]:
        return [p.request for p in prospects if p.arrived and p.cold_bytes]


@dataclass(frozen=True, slots=True)
class NextUse:
    """Also sessions that have not asked again yet but are predicted to within the horizon, soonest first."""

    horizon_ns: float = 2e9
    name: str = "next_use"

    def choose(self, prospects: Sequence[Prospect], now_ns: float, bandwidth_gb_s: float) -> list[int]:
        soon = [p for p in prospects if p.cold_bytes and p.due_ns <= now_ns + self.horizon_ns]
        return [p.request for p in sorted(soon, key=lambda p: (p.due_ns, p.request))]


@dataclass(frozen=True, slots=True)
class QueueAware:
    """Just in time: a waiting request is fetched when the time until it is due is what its transfer takes,
    behind the transfers of those due before it, times a safety factor."""

    safety: float = 1.5
    name: str = "queue_aware"

    def choose(self, prospects: Sequence[Prospect], now_ns: float, bandwidth_gb_s: float) -> list[int]:
        chosen: list[int] = []
        ahead_ns = 0.0
        for p in sorted(prospects, key=lambda p: (not p.scheduled, p.due_ns, p.request)):
            if not p.cold_bytes or not (p.arrived or p.scheduled):
                continue
            ahead_ns += p.cold_bytes / bandwidth_gb_s
            if p.scheduled or p.due_ns - now_ns <= self.safety * ahead_ns:
                chosen.append(p.request)
        return chosen


WARM_UP: dict[str, Callable[[], WarmUp]] = {
    "none": NoWarmUp,
    "reactive": Reactive,
    "on_arrival": OnArrival,
    "next_use": NextUse,
    "queue_aware": QueueAware,
}


class ReturnPredictor:
    """Predicts when a session asks again: its last request plus the exponentially weighted mean of its
    gaps."""

    def __init__(self, weight: float = 0.5) -> None:
        self.weight = weight
        self._last: dict[str, float] = {}
        self._gap: dict[str, float] = {}

    def observe(self, session: str, now_ns: float) -> None:
        """The session asked at this time."""
        if session in self._last:
            gap = now_ns - self._last[session]
            known = self._gap.get(session, gap)
            self._gap[session] = known + self.weight * (gap - known)
        self._last[session] = now_ns

    def due_ns(self, session: str) -> float | None:
        """Expected time of the next request; None before two were seen."""
        gap = self._gap.get(session)
        return None if gap is None else self._last[session] + gap
