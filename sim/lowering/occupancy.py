"""How much on-chip storage a CTA of an attention kernel takes, and how many fit an SM.

Stage buffers hold KV as stored (compressed, with scales), unless tiles go to registers; Q, the expanded tile (where
the kernel expands in shared memory) and the window of the block table lie beside them. Accumulators and softmax state
live in registers, or in tensor memory where the chip has it (FlashAttention-3 and -4 papers).
"""

from dataclasses import dataclass

from sim.config.hardware import Sm
from sim.config.kernel_profile import KernelProfile
from sim.formats import token_bytes

KIB = 1024
EXPANDED_BYTES = 2
"""Bytes per expanded value: FP16 or BF16."""


@dataclass(frozen=True)
class Footprint:
    """Bytes of one CTA, by what they hold, and how many CTAs the SM takes."""

    stage_bytes: int
    stages: int
    query_bytes: int
    expanded_bytes: int
    table_bytes: int
    reserved_bytes: int
    register_bytes: int
    sram_limit_bytes: int
    fit_sram: int
    fit_registers: int
    fit_slots: int

    @property
    def sram_bytes(self) -> int:
        return (
            self.stages * self.stage_bytes
            + self.query_bytes
            + self.expanded_bytes
            + self.table_bytes
            + self.reserved_bytes
        )

    @property
    def ctas_per_sm(self) -> int:
        return min(self.fit_sram, self.fit_registers, self.fit_slots)

    def room(self) -> str:
        """For how many CTAs each part of the SM has room, for messages."""
        return (
            f"room for {self.fit_sram} in SRAM, {self.fit_registers} in registers, {self.fit_slots} in slots"
        )

    def arithmetic(self) -> str:
        """The sum as a sentence, for messages and results."""
        return (
            f"{self.stages} stage(s) x {self.stage_bytes / KIB:.1f} KiB + Q {self.query_bytes / KIB:.1f} KiB"
            f" + expanded tile {self.expanded_bytes / KIB:.1f} KiB + table window {self.table_bytes / KIB:.1f} KiB"
            f" + reserved {self.reserved_bytes / KIB:.1f} KiB = {self.sram_bytes / KIB:.1f} KiB of"
            f" {self.sram_limit_bytes / KIB:.0f} KiB SRAM; registers {self.register_bytes / KIB:.0f} KiB"
        )


@dataclass(frozen=True)
class TileShape:
    """What one CTA holds of the problem."""

    rows: int
    tile_tokens: int
    kv_heads: int
    head_dim: int
    value_dim: int
    latent: bool
    formats: tuple[str, ...]
    page_tokens: int
    table_entry_bytes: int
    """0: there is no block table."""


def _accumulator_bytes(shape: TileShape, sm: Sm) -> int:
    """FP32 output accumulators of all KV heads, held from the first tile to the last, and the score fragment of the one
    at work; tensor memory takes them where there is any."""
    if sm.tmem_kib:
        return 0
    return 4 * shape.rows * (shape.value_dim * shape.kv_heads + shape.tile_tokens // 2)


def _fit_registers(shape: TileShape, register_bytes: int, sm: Sm) -> int:
    fit = sm.regfile_kib * KIB // register_bytes
    if not sm.tmem_kib:
        return fit
    tmem_bytes = 4 * shape.rows * (shape.value_dim + shape.tile_tokens) * shape.kv_heads
    return min(fit, sm.tmem_kib * KIB // tmem_bytes)


def register_bytes(profile: KernelProfile, sm: Sm) -> int:
    """Registers of a CTA's warps, of 4 bytes each."""
    return profile.warps * sm.warp_lanes * profile.registers_per_thread * 4


def footprint(shape: TileShape, stages: int, profile: KernelProfile, sm: Sm) -> Footprint:
    """Storage of one CTA with `stages` buffers of `shape` on `sm`."""
    stage = shape.tile_tokens * max(
        token_bytes(fmt, shape.kv_heads, shape.head_dim, shape.value_dim, latent=shape.latent)
        for fmt in shape.formats
    )
    if profile.cta_pairs:
        stage = -(-stage // 2)
    if profile.kv_in == "register":
        stage = 0
    expanded = 0
    if profile.expand_in == "sram":
        dims = shape.head_dim if shape.latent else shape.head_dim + shape.value_dim
        expanded = shape.tile_tokens * shape.kv_heads * dims * EXPANDED_BYTES
    pages = -(-shape.tile_tokens // shape.page_tokens)
    registers = max(register_bytes(profile, sm), _accumulator_bytes(shape, sm))
    table = 2 * max(128, pages * shape.table_entry_bytes) if shape.table_entry_bytes else 0
    reserved = round(sm.sram_reserved_kib_per_cta * KIB)
    query = shape.rows * shape.kv_heads * shape.head_dim * EXPANDED_BYTES
    if profile.query_in == "register":
        query = 0
    per_cta = stages * stage + query + expanded + table + reserved
    return Footprint(
        stage_bytes=stage,
        stages=stages,
        query_bytes=query,
        expanded_bytes=expanded,
        table_bytes=table,
        reserved_bytes=reserved,
        register_bytes=registers,
        sram_limit_bytes=sm.sram_kib * KIB,
        fit_sram=sm.sram_kib * KIB // per_cta,
        fit_registers=_fit_registers(shape, registers, sm),
        fit_slots=min(sm.max_ctas, sm.max_warps // profile.warps),
    )
