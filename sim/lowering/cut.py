"""The mapping of a kernel: how an attention problem is cut into CTAs and tiles."""

from dataclasses import asdict, dataclass
from typing import Any

from sim.config.workload import KernelProfile


def profile_at(profile: KernelProfile, head_dim: int) -> KernelProfile:
    """The profile with the tiles that it has at this head size; costs stated per tile stay the same per token."""
    found = next((tile for tile in profile.head_tiles if tile.head_dim == head_dim), None)
    if found is None:
        return profile
    tiles = found.tile_tokens or profile.tile_tokens
    return profile.model_copy(
        update={
            "m_tile": found.m_tile or profile.m_tile,
            "tile_tokens": tiles,
            "tile_issue_clk": profile.tile_issue_clk * tiles[0] / profile.tile_tokens[0],
            "head_tiles": [],
        }
    )


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
    begun: tuple[int, ...] = ()
    """KV tokens by which the first split of each sequence is shorter: its CTA works on other sequences before."""

    def summary(self) -> dict[str, Any]:
        data = asdict(self)
        data["kernel"] = self.profile.name
        del data["profile"], data["chunks"], data["begun"]
        return data
