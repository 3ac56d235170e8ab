"""Hit rate against capacity: every policy, one or two tiers, between the infinite cache and the offline
optimum."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kernels_ref.errors import InputError
from kernels_ref.kvcache import CacheReplay, Workload
from kernels_ref.policies.eviction import POLICIES
from kernels_ref.policies.optimum import infinite_hits, most_hits
from kernels_ref.policies.tiering import ADMISSION, INCLUSION, WRITING
from kernels_ref.tiered_replay import TieredReplay

ALIASES = {"lru": "lru_tail_first", "fifo": "fifo_tail_first", "two_q": "2q", "belady": "optimum"}
OPTIMUM = "optimum"
INFINITE = "infinite"


@dataclass(frozen=True, slots=True)
class TierRules:
    """Switches of the second tier, by name."""

    inclusion: str = "exclusive"
    writing: str = "back"
    admission: str = "all"

    def check(self) -> None:
        """Raises InputError for an unknown name or a combination that contradicts itself."""
        for key, found, known in (
            ("inclusion", self.inclusion, INCLUSION),
            ("write", self.writing, WRITING),
            ("admission", self.admission, ADMISSION),
        ):
            if found not in known:
                raise InputError(f"{key}: found {found}; allowed: {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Hits of one policy at one capacity. `tier_*` are hits in the second tier; None for the bounds, which
    have no evictions of their own that could be compared."""

    policy: str
    blocks: int
    tier: int
    asked_blocks: int
    asked_tokens: int
    hit_blocks: int
    hit_tokens: int
    tier_hit_blocks: int | None
    tier_hit_tokens: int | None
    evictions: int | None
    offloaded_blocks: int | None
    """Blocks written to the second tier; hits in it are the blocks read back."""

    @property
    def block_hit_rate(self) -> float:
        return (self.hit_blocks + (self.tier_hit_blocks or 0)) / self.asked_blocks

    @property
    def token_hit_rate(self) -> float:
        return (self.hit_tokens + (self.tier_hit_tokens or 0)) / self.asked_tokens


def policy_names(names: list[str]) -> list[str]:
    """Full names, in the order given. Raises InputError for an unknown one."""
    known = [*POLICIES, OPTIMUM]
    full = [ALIASES.get(name, name) for name in names]
    wrong = [name for name in full if name not in known]
    if wrong:
        raise InputError(f"policy: found {wrong[0]}; allowed: {', '.join([*known, *ALIASES])}")
    return list(dict.fromkeys(full))


def hit_curves(
    load: Workload,
    capacities: list[int],
    policies: list[str],
    tiers: list[int],
    rules: TierRules | None = None,
) -> Iterator[CurvePoint]:
    """Points as they are done: each policy at each capacity and tier size, the optimum at each total size,
    and the infinite cache. Raises InputError for a capacity below 1."""
    for key, sizes, least in (("blocks", capacities, 1), ("tier", tiers, 0)):
        if min(sizes, default=least) < least:
            raise InputError(f"{key}: found {min(sizes)}; allowed: at least {least}")
    rules = rules or TierRules()
    rules.check()
    if rules != TierRules() and not any(tiers):
        raise InputError("inclusion, write, admission: found without a tier; they concern --tier")
    for policy in (name for name in policies if name != OPTIMUM):
        for blocks in capacities:
            for tier in tiers or [0]:
                yield _replayed(load, policy, blocks, tier, rules)
    for total in sorted({blocks + tier for blocks in capacities for tier in (tiers or [0])}):
        yield _bound(load, OPTIMUM, total)
    yield _bound(load, INFINITE, load.unique)


def _replayed(load: Workload, policy: str, blocks: int, tier: int, rules: TierRules) -> CurvePoint:
    if tier:
        replay = TieredReplay(
            load,
            blocks,
            tier,
            POLICIES[policy](),
            inclusion=INCLUSION[rules.inclusion],
            writing=WRITING[rules.writing](),
            admission=ADMISSION[rules.admission](),
        )
        counts, offloaded = replay.run(), replay.traffic.offloaded
    else:
        counts, offloaded = CacheReplay(load, blocks, POLICIES[policy]()).run(), None
    return CurvePoint(
        policy=policy,
        blocks=blocks,
        tier=tier,
        asked_blocks=counts.blocks,
        asked_tokens=counts.tokens,
        hit_blocks=counts.l1_hit_blocks,
        hit_tokens=counts.l1_hit_tokens,
        tier_hit_blocks=counts.l2_hit_blocks if tier else None,
        tier_hit_tokens=counts.l2_hit_tokens if tier else None,
        evictions=counts.evictions,
        offloaded_blocks=offloaded,
    )


def _bound(load: Workload, name: str, blocks: int) -> CurvePoint:
    if name == INFINITE:
        hits = infinite_hits(load.ptr, load.ids, load.unique)
    else:
        hits = most_hits(load.ptr, load.ids, load.parent, blocks)
    return CurvePoint(
        policy=name,
        blocks=blocks,
        tier=0,
        asked_blocks=len(load.ids),
        asked_tokens=int(load.input_length.sum()),
        hit_blocks=int(hits.sum()),
        hit_tokens=int(np.minimum(hits * load.page_tokens, load.input_length).sum()),
        tier_hit_blocks=None,
        tier_hit_tokens=None,
        evictions=None,
        offloaded_blocks=None,
    )
