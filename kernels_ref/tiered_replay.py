"""Replay of two tiers with every switch: inclusion, write policy, admission; counts the blocks moved
between them.

With exclusive tiers, write-back and admission of everything, this is the two-tier semantics of the exact
counts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels_ref.errors import InputError
from kernels_ref.kvcache import CacheReplay, ReplayCounts, Workload
from kernels_ref.page_heap import RESIDENTS, Int32, PageState, drop, evict, guard, settle
from kernels_ref.policies.eviction import EvictionPolicy
from kernels_ref.policies.tiering import EXCLUSIVE, Admission, AdmitAll, Inclusion, WriteBack, Writing


@dataclass(slots=True)
class TierTraffic:
    """Blocks moved. `offloaded` were written down, `onboarded` read up for a hit, `clean` evictions found
    the block below already, `lost` evictions left it in neither tier, `dropped` fell out of the lower
    tier."""

    offloaded: int = 0
    onboarded: int = 0
    clean: int = 0
    lost: int = 0
    dropped: int = 0


class TieredReplay(CacheReplay):
    """`capacity` pages above `tier` pages. Raises InputError for exclusive tiers with a write policy that
    copies while the block stays above."""

    def __init__(
        self,
        load: Workload,
        capacity: int,
        tier: int,
        policy: EvictionPolicy | None = None,
        *,
        inclusion: Inclusion = EXCLUSIVE,
        writing: Writing | None = None,
        admission: Admission | None = None,
    ) -> None:
        super().__init__(load, capacity, policy, tier=max(tier, 1))
        self.inclusion = inclusion
        self.writing = writing or WriteBack()
        self.admission = admission or AdmitAll()
        if not inclusion.keeps_copy and self.writing.name != "back":
            raise InputError(
                f"write policy: found {self.writing.name} with exclusive tiers; "
                f"exclusive tiers hold a block once: only back"
            )
        self.traffic = TierTraffic()
        self.seen = np.zeros(load.unique, np.int64)
        self._clock = 0

    def run(self) -> ReplayCounts:
        counts = super().run()
        self.traffic.onboarded = counts.l2_hit_blocks
        return counts

    def serve(self, ids: Int32, now_s: float) -> tuple[int, int]:
        kept = ids[: self.capacity]
        self.seen[kept] += 1
        hits = super().serve(ids, now_s)
        self._write(kept[self.writing.on_use(self.uses[kept])])
        return hits

    def _make_room(self, count: int, kept: Int32) -> None:
        below = self._below()
        if self.inclusion.keeps_copy:
            self._refresh(kept[below.resident[kept]])
        else:
            drop(kept, False, below)
        if count <= 0:
            return
        victims = evict(count, self.policy.keep_first, self.policy.leaf_only, self.store)
        self.evictions += len(victims)
        self.policy.evicted(victims, self.store.key[victims], self.store.segment[victims])
        self.traffic.clean += int(below.resident[victims].sum())
        self._write(victims[self.writing.on_evict(self.uses[victims])])
        self.traffic.lost += int((~below.resident[victims]).sum())

    def _below(self) -> PageState:
        assert self.behind is not None
        return self.behind

    def _write(self, ids: Int32) -> None:
        """Write down those of `ids` that are not there and are let in, in this order of recency."""
        below = self._below()
        new = ids[~below.resident[ids] & self.admission.admits(self.seen[ids])]
        if not len(new):
            return
        self.traffic.offloaded += len(new)
        self._refresh(new)
        out = evict(int(below.sizes[RESIDENTS]) - self.tier, 0, False, below)
        self.traffic.dropped += len(out)

    def _refresh(self, ids: npt.NDArray[np.int32]) -> None:
        below = self._below()
        guard(ids, below)
        below.key[ids] = self._clock + np.arange(len(ids))
        self._clock += len(ids)
        settle(ids, False, below)
