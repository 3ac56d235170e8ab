"""Candidate mappings of an attention kernel: a fixed, ordered list that depends on the chip only through what fits.

What needs less SRAM comes first, so that the list of a larger SRAM begins with that of a smaller one, and more
SRAM can only add choices. A kernel that is asked for by name is taken as its implementation is: its first tile and
depth, as many CTAs per SM as fit, and its own split rule.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.workload import Mapping
from sim.errors import InputError
from sim.lowering.cut import Cut, block_rows, profile_at
from sim.lowering.occupancy import KIB, Footprint, TileShape, footprint
from sim.lowering.split_rules import Grid, begun_tokens, chunk_tokens, fewest_efficient, wave_fill
from sim.lowering.units import unsplit_ctas

Int64 = NDArray[np.int64]

CTAS_PER_SM = (1, 2, 3, 4)
WAVES = (1, 2)
FULL_WAVES = 0.85
"""How full waves are next to the fullest that splits can make; FlashAttention-2 and -3 ask for as much."""
SRAM_CLASSES_KIB = (228, 512, 1024, 2048)


Shape = tuple[int, int, int]
"""KV tokens of a tile, stages, KV heads of a CTA."""


@dataclass(frozen=True)
class Candidate:
    """A mapping that fits, with its storage."""

    cut: Cut
    footprint: Footprint

    @property
    def sram_class(self) -> int:
        """0 for what fits today's largest SRAM, then one class per doubling."""
        need = self.footprint.sram_bytes * self.cut.ctas_per_sm / KIB
        return sum(need > limit for limit in SRAM_CLASSES_KIB)


def tile_shape(step: Step, profile: KernelProfile, tile: int, heads: int, entry_bytes: int) -> TileShape:
    g = step.geometry
    return TileShape(
        rows=profile.m_tile if profile.algorithm == "cascade" else block_rows(profile, step),
        tile_tokens=tile,
        kv_heads=heads,
        head_dim=g.head_dim,
        value_dim=g.value_dim,
        latent=g.latent,
        formats=step.formats,
        page_tokens=step.page_tokens,
        table_entry_bytes=entry_bytes,
    )


def attended_tokens(step: Step) -> Int64:
    """[B] KV tokens that the queries of each sequence attend to."""
    context = step.context.astype(np.int64)
    window = step.geometry.window
    return np.minimum(context, window + step.q_len) if window else context


def unsplit_grid(step: Step, profile: KernelProfile, tile: int, heads: int, hw: Hardware) -> Grid:
    """The grid as the implementation's own rule sees it."""
    return Grid(
        blocks=unsplit_ctas(step, profile, heads),
        tokens=attended_tokens(step),
        head_dim=step.geometry.head_dim,
        tile_tokens=tile,
        page_tokens=step.page_tokens,
        sms=hw.sm.count,
        max_splits=profile.max_splits,
        min_tokens=profile.min_split_tokens,
    )


def _own_cut(step: Step, profile: KernelProfile, shape: Shape, ctas: int, hw: Hardware) -> Cut:
    """The cut by the implementation's own rule."""
    tile, stages, heads = shape
    grid = unsplit_grid(step, profile, tile, heads, hw)
    chunks, begun = chunk_tokens(grid, profile.split), begun_tokens(grid, profile.split)
    most = int((-(-(grid.tokens + begun) // chunks)).max())
    first_pieces = tuple(begun.tolist()) if begun.any() else ()
    clustered = clusters_fit(grid, profile, most, ctas, hw)
    return Cut(profile, tile, stages, most, ctas, heads, tuple(chunks.tolist()), first_pieces, clustered)


def clusters_fit(grid: Grid, profile: KernelProfile, splits: int, ctas_per_sm: int, hw: Hardware) -> bool:
    """Whether the CTAs of each output can be a cluster: all clusters run at once, each within a GPC."""
    if not 1 < splits <= profile.cluster_splits:
        return False
    return grid.ctas <= sum(sms * ctas_per_sm // splits for sms in hw.sm.gpc_sms)


def split_choices(
    step: Step, profile: KernelProfile, tile: int, ctas: int, heads: int, hw: Hardware
) -> list[int]:
    """1; what fills one or two waves of slots and begins no other; and, where one CTA for each output makes more than a
    wave, the fewest whose waves are nearly full. Never below the profile's smallest chunk."""
    longest = int(attended_tokens(step).max())
    grids = int(unsplit_ctas(step, profile, heads).sum())
    most = max(1, min(profile.max_splits, longest // max(tile, profile.min_split_tokens)))
    slots = hw.sm.count * ctas
    mean = max(1.0, float(step.context.mean()))
    wanted = [int(waves * slots / grids * longest / mean) for waves in WAVES]
    even = fewest_efficient(wave_fill(grids, slots, most, most), FULL_WAVES) if grids > slots else 1
    return sorted({1, even, *(min(most, max(1, w)) for w in wanted)})


def _cuts(
    step: Step, profile: KernelProfile, fixed: Mapping, hw: Hardware, fit: int, shape: Shape
) -> Iterator[Cut]:
    """The cuts of one shape, of which `fit` CTAs go on an SM."""
    tile, stages, heads = shape
    own = _as_it_is(profile)
    counts = [fixed.ctas_per_sm] if fixed.ctas_per_sm else CTAS_PER_SM
    if own and not fixed.ctas_per_sm:
        counts = [min(fit, profile.ctas_per_sm or fit)]
    for ctas in (c for c in counts if 0 < c <= fit):
        if own and not fixed.splits:
            yield _own_cut(step, profile, shape, ctas, hw)
            continue
        splits = [fixed.splits] if fixed.splits else split_choices(step, profile, tile, ctas, heads, hw)
        for count in splits:
            yield Cut(profile, tile, stages, count, ctas, heads)


def _as_it_is(profile: KernelProfile) -> bool:
    """Whether the profile stands for an implementation that has made its choices."""
    return profile.split.rule != "search"


def _shapes(profile: KernelProfile, fixed: Mapping) -> Iterator[Shape]:
    tiles = [fixed.tile_tokens] if fixed.tile_tokens else profile.tile_tokens
    stages = [fixed.stages] if fixed.stages else profile.stages
    heads = fixed.kv_heads_per_cta or profile.kv_heads_per_cta
    for tile in tiles:
        for stage in stages:
            yield tile, stage, heads


def _taken(fits: list[tuple[Shape, Footprint]], profile: KernelProfile) -> list[tuple[Shape, Footprint]]:
    """Of shapes in order of preference: all, or the first that lets as many CTAs fit as it is built for."""
    if not _as_it_is(profile) or not fits:
        return fits
    wanted = min(max(1, profile.ctas_per_sm), max(found.ctas_per_sm for _, found in fits))
    return [next(pair for pair in fits if pair[1].ctas_per_sm >= wanted)]


def candidates(
    step: Step, profiles: Sequence[KernelProfile], fixed: Mapping | None, hw: Hardware, entry_bytes: int
) -> list[Candidate]:
    """Every mapping that fits, smallest SRAM class first. Raises InputError, with the nearest sums, when none fits."""
    fixed = fixed or Mapping()
    found: list[Candidate] = []
    rejected: list[tuple[int, str]] = []
    for profile in (profile_at(p, step) for p in profiles):
        fits: list[tuple[Shape, Footprint]] = []
        for shape in _shapes(profile, fixed):
            tile, stages, heads = shape
            if step.geometry.kv_heads % heads:
                text = f"{heads} KV heads per CTA do not divide {step.geometry.kv_heads}"
                rejected.append((0, f"{profile.name}: {text}"))
                continue
            storage = tile_shape(step, profile, tile, heads, entry_bytes)
            fits.append((shape, footprint(storage, stages, profile, hw.sm)))
        for shape, storage_of_cta in _taken(fits, profile):
            cuts = list(_cuts(step, profile, fixed, hw, storage_of_cta.ctas_per_sm, shape))
            if not cuts:
                asked = f"{fixed.ctas_per_sm or 1} CTA(s) per SM asked, {storage_of_cta.room()}"
                reason = f"{profile.name}, {shape[0]} tokens: {asked}: {storage_of_cta.arithmetic()}"
                rejected.append((storage_of_cta.ctas_per_sm, reason))
            found += [Candidate(cut, storage_of_cta) for cut in cuts]
    if not found:
        _, nearest = max(rejected, key=lambda pair: pair[0])
        raise InputError(f"workload.mapping: does not fit {hw.name}: {nearest}")
    return sorted(found, key=lambda candidate: candidate.sram_class)
