"""The mapping of a kernel: how an attention problem is cut into CTAs and tiles."""

from dataclasses import asdict, dataclass
from typing import Any

from kernels_ref.trace import Step
from sim.config.kernel_profile import KernelProfile


def profile_at(profile: KernelProfile, step: Step) -> KernelProfile:
    """The profile with the tiles that it has for this step; costs stated per tile stay the same per token."""
    return _at_rows(_at_head_dim(profile, step.geometry.head_dim), packed_rows(profile, step))


def packed_rows(profile: KernelProfile, step: Step) -> int:
    """Query rows of a KV head that share CTAs, mean over sequences, rounded down."""
    return int(step.q_len.sum()) * _group(profile, step) // step.sequences


def block_rows(profile: KernelProfile, step: Step) -> int:
    """Query rows of the largest block, with padding."""
    rows = int(step.q_len.max()) * _group(profile, step)
    return min(profile.m_tile, -(-rows // profile.m_align) * profile.m_align)


def _group(profile: KernelProfile, step: Step) -> int:
    """Query heads that share CTAs."""
    return step.geometry.q_heads // step.geometry.kv_heads if profile.pack_gqa else 1


def _at_head_dim(profile: KernelProfile, head_dim: int) -> KernelProfile:
    found = next((tile for tile in profile.head_tiles if tile.head_dim == head_dim), None)
    if found is None:
        return profile
    tiles = found.tile_tokens or profile.tile_tokens
    most = found.m_tile or max([profile.m_tile, *profile.row_tiles])
    softmax = found.softmax_ops_per_score
    return profile.model_copy(
        update={
            "m_tile": found.m_tile or profile.m_tile,
            "row_tiles": [rows for rows in profile.row_tiles if rows <= most],
            "tile_tokens": tiles,
            "block_tiles": found.block_tiles or profile.block_tiles,
            "tile_issue_clk": profile.tile_issue_clk * found.issue_share * tiles[0] / profile.tile_tokens[0],
            "softmax_ops_per_score": profile.softmax_ops_per_score if softmax is None else softmax,
            "head_tiles": [],
        }
    )


def _at_rows(profile: KernelProfile, rows: int) -> KernelProfile:
    """With the first of its row tiles that holds `rows`, else the last; all of a row tile is computed."""
    if not profile.row_tiles:
        return profile
    taken = next((tile for tile in profile.row_tiles if tile >= rows), profile.row_tiles[-1])
    return profile.model_copy(update={"m_tile": taken, "m_align": taken, "row_tiles": []})


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
    clustered: bool = False
    """The splits of an output are CTAs of a cluster, which merges them in shared memory."""

    def summary(self) -> dict[str, Any]:
        data = asdict(self)
        data["kernel"] = self.profile.name
        del data["profile"], data["chunks"], data["begun"], data["clustered"]
        return data
