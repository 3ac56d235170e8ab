"""What a block pool does, in the names of the serving runtimes, for traces and for tests."""

from dataclasses import dataclass

from kernels_ref.hashing import BlockKey


@dataclass(frozen=True, slots=True)
class BlockStored:
    """A full block became findable under `key`."""

    block: int
    key: BlockKey
    parent: BlockKey | None


@dataclass(frozen=True, slots=True)
class BlockRemoved:
    """A cached block lost its content. `reachable` is False if its own parent was gone already, so that no
    request could have hit it; `stranded` counts cached children that this removal makes unreachable."""

    block: int
    key: BlockKey
    reason: str
    reachable: bool
    stranded: int


@dataclass(frozen=True, slots=True)
class BlockCopied:
    """The first `tokens` slots of `source` must be copied to `target` before `target` is written."""

    source: int
    target: int
    tokens: int
    reason: str


BlockEvent = BlockStored | BlockRemoved | BlockCopied


@dataclass(slots=True)
class CacheStats:
    """Counters of one pool; tokens unless the name says otherwise. Lookups of a rescheduled (preempted)
    request are kept apart, since its own blocks make it hit and would inflate the rate."""

    query_tokens: int = 0
    hit_tokens: int = 0
    rescheduled_query_tokens: int = 0
    rescheduled_hit_tokens: int = 0
    evicted_blocks: int = 0
    stranded_blocks: int = 0
    copied_blocks: int = 0

    def count_lookup(self, query: int, hit: int, rescheduled: bool) -> None:
        if rescheduled:
            self.rescheduled_query_tokens += query
            self.rescheduled_hit_tokens += hit
        else:
            self.query_tokens += query
            self.hit_tokens += hit

    @property
    def hit_rate(self) -> float:
        """Hit tokens per looked-up token of first schedulings; 0 before any lookup."""
        return self.hit_tokens / self.query_tokens if self.query_tokens else 0.0
