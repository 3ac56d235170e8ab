"""Replay of two tiers with every switch: inclusion, write policy, admission; counts the blocks moved
between them.

With exclusive tiers, write-back and admission of everything, this is the two-tier semantics of the exact
counts.
"""

from dataclasses import dataclass

import numpy as np

from kernels_ref.errors import InputError
from kernels_ref.kvcache import CacheReplay, Int32, ReplayCounts, Workload
from kernels_ref.page_list import PageList
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

    def _bring_up(self, kept: Int32) -> None:
        if self.inclusion.keeps_copy:
            self._refresh(kept[self._below[kept]])
        else:
            self._tier().drop(kept)

    def _push_down(self, victims: Int32) -> None:
        self.evictions += len(victims)
        self.traffic.clean += int(self._below[victims].sum())
        self._write(victims[self.writing.on_evict(self.uses[victims])])
        self.traffic.lost += int((~self._below[victims]).sum())

    def _tier(self) -> PageList:
        assert self.behind is not None
        return self.behind

    def _write(self, ids: Int32) -> None:
        """Write down those of `ids` that are not there and are let in, in this order of recency."""
        new = ids[~self._below[ids] & self.admission.admits(self.seen[ids])]
        self.traffic.offloaded += len(new)
        self._refresh(new)
        self.traffic.dropped += len(self._tier().evict(self._tier().count - self.tier))

    def _refresh(self, ids: Int32) -> None:
        self._tier().guard(ids)
        self._tier().settle(ids)
