"""The mapping of a kernel: how an attention problem is cut into CTAs and tiles."""

from dataclasses import asdict, dataclass
from typing import Any

from sim.config.workload import KernelProfile


@dataclass(frozen=True)
class Cut:
    """A kernel profile with every free choice fixed."""

    profile: KernelProfile
    tile_tokens: int
    stages: int
    splits: int
    """KV splits of the longest sequence; shorter ones get chunks of the same length, unless `chunks` says more."""
    ctas_per_sm: int
    kv_heads_per_cta: int
    chunks: tuple[int, ...] = ()
    """KV tokens of one split of each sequence, where the kernel has its own rule."""

    def summary(self) -> dict[str, Any]:
        data = asdict(self)
        data["kernel"] = self.profile.name
        del data["profile"], data["chunks"]
        return data
