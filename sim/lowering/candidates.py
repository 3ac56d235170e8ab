"""Candidate mappings of an attention kernel: a fixed, ordered list that depends on the chip only through what fits.

What needs less SRAM comes first, so that the list of a larger SRAM begins with that of a smaller one, and more
SRAM can only add choices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.config.workload import KernelProfile, Mapping
from sim.errors import InputError
from sim.lowering.cut import Cut
from sim.lowering.occupancy import KIB, Footprint, TileShape, footprint

CTAS_PER_SM = (1, 2, 3, 4)
WAVES = (1, 2)
SRAM_CLASSES_KIB = (228, 512, 1024, 2048)


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
    rows = int(step.q_len.max()) * (g.q_heads // g.kv_heads if profile.pack_gqa else 1)
    return TileShape(
        rows=min(profile.m_tile, -(-rows // profile.m_align) * profile.m_align),
        tile_tokens=tile,
        kv_heads=heads,
        head_dim=g.head_dim,
        value_dim=g.value_dim,
        latent=g.latent,
        formats=step.formats,
        page_tokens=step.page_tokens,
        table_entry_bytes=entry_bytes,
    )


def split_choices(
    step: Step, profile: KernelProfile, tile: int, ctas: int, heads: int, hw: Hardware
) -> list[int]:
    """1, and what fills one or two waves of slots; never below the profile's smallest chunk."""
    g = step.geometry
    groups = g.kv_heads // heads if profile.pack_gqa else g.q_heads
    longest = int(step.context.max())
    if g.window:
        longest = min(longest, g.window + int(step.q_len.max()))
    grids = step.sequences * groups * max(1, int(step.q_len.max()) // profile.m_tile)
    most = max(1, min(profile.max_splits, longest // max(tile, profile.min_split_tokens)))
    slots = hw.sm.count * ctas
    mean = max(1.0, float(step.context.mean()))
    wanted = [round(waves * slots / grids * longest / mean) for waves in WAVES]
    return sorted({1, *(min(most, max(1, w)) for w in wanted)})


def _shapes(profile: KernelProfile, fixed: Mapping | None) -> Iterator[tuple[int, int, int]]:
    tiles = [fixed.tile_tokens] if fixed and fixed.tile_tokens else profile.tile_tokens
    stages = [fixed.stages] if fixed and fixed.stages else profile.stages
    heads = fixed.kv_heads_per_cta if fixed and fixed.kv_heads_per_cta else profile.kv_heads_per_cta
    for tile in tiles:
        for stage in stages:
            yield tile, stage, heads


def candidates(
    step: Step, profiles: Sequence[KernelProfile], fixed: Mapping | None, hw: Hardware, entry_bytes: int
) -> list[Candidate]:
    """Every mapping that fits, smallest SRAM class first. Raises InputError, with the sums, when none fits."""
    found: list[Candidate] = []
    rejected: list[str] = []
    for profile in profiles:
        for tile, stages, heads in _shapes(profile, fixed):
            if step.geometry.kv_heads % heads:
                rejected.append(
                    f"{profile.name}: {heads} KV heads per CTA do not divide {step.geometry.kv_heads}"
                )
                continue
            fits = footprint(tile_shape(step, profile, tile, heads, entry_bytes), stages, profile, hw.sm)
            counts = [fixed.ctas_per_sm] if fixed and fixed.ctas_per_sm else CTAS_PER_SM
            usable = [c for c in counts if c <= fits.ctas_per_sm]
            if not usable:
                rejected.append(f"{profile.name}, {tile} tokens: {fits.arithmetic()}")
            for ctas in usable:
                splits = (
                    [fixed.splits]
                    if fixed and fixed.splits
                    else split_choices(step, profile, tile, ctas, heads, hw)
                )
                found += [Candidate(Cut(profile, tile, stages, s, ctas, heads), fits) for s in splits]
    if not found:
        raise InputError(*(f"workload.mapping: does not fit {hw.name}: {reason}" for reason in rejected[:8]))
    return sorted(found, key=lambda candidate: candidate.sram_class)
