"""A tier as the copy engines see it: latency, bandwidth, accesses per second, bounded queue depth.

FIFO servers that keep a `free_at` time (design: links and pipes). An access occupies one slot of the queue from its
start to its end; the data channel and the access-rate limit are shared by all.
"""

import heapq

from sim.config.hardware import Tier

PS_PER_NS = 1000
PS_PER_S = 10**12


class TierLink:
    """One tier's read path. Times are integer ps."""

    def __init__(self, tier: Tier) -> None:
        self._tier = tier
        self._channel_free = 0
        self._next_access = 0
        self._slots: list[int] = []
        self.latency_ps = round(tier.latency_ns * PS_PER_NS)
        self.moved_bytes = 0

    def access_bytes(self, size: int) -> int:
        """Bytes that really move for `size` bytes wanted: whole accesses of the device."""
        unit = self._tier.access_bytes
        return -(-size // unit) * unit

    def read(self, now: int, size: int) -> int:
        """When `size` contiguous bytes asked for at `now` have arrived."""
        tier = self._tier
        start = now
        if len(self._slots) >= tier.queue_depth:
            start = max(start, heapq.heappop(self._slots))
        if tier.iops is not None:
            start = max(start, self._next_access)
            self._next_access = start + round(PS_PER_S / tier.iops)
        moved = self.access_bytes(size)
        self.moved_bytes += moved
        ready = start + self.latency_ps
        begin = max(ready, self._channel_free)
        self._channel_free = begin + round(moved / tier.bandwidth_gb_s * PS_PER_NS)
        heapq.heappush(self._slots, self._channel_free)
        return self._channel_free
