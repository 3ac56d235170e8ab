"""How long SMs have nothing left to do at the end of a launch, from the tiles of its CTAs alone.

CTAs go to the place that is free first, in start order, and take a time in proportion to their tiles. Where memory is
what they wait for, those that are left share all of it: they run faster as others end.
"""

import heapq

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

LAST_WAVES = 8
"""Waves that are dealt out one by one; what comes before keeps all places at work."""


def sm_ends(tiles: Int64, order: Int64, sms: int, ctas_per_sm: int) -> tuple[Int64, float]:
    """[SMs] when each SM's last CTA ends, in tiles of one place, and how long all places had worked before that count
    begins. tiles: [C] of each CTA; order: [C]."""
    slots = sms * ctas_per_sm
    counts = tiles[order]
    last = counts[max(0, len(counts) - LAST_WAVES * slots - len(counts) % slots) :]
    before = float(counts.sum() - last.sum()) / slots
    places = [(0, place) for place in range(slots)]
    ends = np.zeros(slots, np.int64)
    for count in last.tolist():
        free, place = heapq.heappop(places)
        ends[place] = free + count
        heapq.heappush(places, (free + count, place))
    of_sm: Int64 = ends.reshape(ctas_per_sm, sms).max(axis=0)
    return of_sm, before


def idle_share(tiles: Int64, order: Int64, sms: int, ctas_per_sm: int, memory_share: float) -> float:
    """Share of the SM-time of a launch in which an SM holds no CTA any more. memory_share: of the time, in which memory
    works."""
    of_sm, before = sm_ends(tiles, order, sms, ctas_per_sm)
    ends = np.sort(of_sm)
    lengths = np.diff(ends, prepend=0)
    working = 1 - np.arange(sms) / sms
    lengths = lengths * (1 - memory_share * (1 - working))
    return float((lengths * (1 - working)).sum() / (before + lengths.sum()))
