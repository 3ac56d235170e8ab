"""State update of a state-space layer (Mamba-2 form): each head reads and writes one bounded state per step.

h <- a h + (dt x) B^T, y = C h: head_dim x state_dim FP32 values per head and sequence, whatever the context
(arXiv:2405.21060). One CTA per sequence and head; the work is a stream of memory with a few FP32 operations.
"""

import numpy as np

from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.workload import Model
from sim.errors import InputError
from sim.lowering.attention import fetch_table
from sim.lowering.launch import CtaTable, Launch, TileWork
from sim.lowering.occupancy import KIB, register_bytes
from sim.lowering.runs import single_runs
from sim.memory.fetches import TrafficClass

STATE_BYTES = 4
OPS_PER_VALUE = 5
"""Decay, outer product, add, output product, add."""


def state_bytes(model: Model, sequences: int, parallel: int) -> int:
    """Bytes of the states of one layer on one device."""
    heads = -(-model.q_heads // parallel)
    return sequences * heads * model.head_dim * (model.state_dim or 1) * STATE_BYTES


def build_state_update(
    model: Model, sequences: int, parallel: int, profile: KernelProfile, hw: Hardware
) -> Launch:
    """The launch of one layer's update. Raises InputError when a CTA, its state or its registers, does not fit."""
    heads = -(-model.q_heads // parallel)
    values = model.head_dim * (model.state_dim or 1)
    size = values * STATE_BYTES
    room = hw.sm.sram_kib * KIB // (size + round(hw.sm.sram_reserved_kib_per_cta * KIB))
    registers = register_bytes(profile, hw.sm)
    fit = hw.sm.regfile_kib * KIB // registers
    ctas_per_sm = min(room, fit, hw.sm.max_ctas, hw.sm.max_warps // profile.warps)
    if ctas_per_sm < 1:
        raise InputError(
            f"workload.model: a state of {size / KIB:g} KiB, {profile.warps} warps and {registers / KIB:g} KiB of "
            f"registers per CTA; {hw.name} has {hw.sm.sram_kib} KiB SRAM, {hw.sm.max_warps} warps and "
            f"{hw.sm.regfile_kib} KiB"
        )
    count = sequences * heads
    address = np.arange(count, dtype=np.int64) * size
    runs = [single_runs(address, np.full(count, size)), single_runs(address, np.full(count, size))]
    classes = [np.full(count, TrafficClass.KV), np.full(count, TrafficClass.OUTPUT)]
    none, zero = np.full(count, -1, np.int32), np.zeros(count, np.int64)
    index = np.arange(count, dtype=np.int32)
    return Launch(
        name="state_update",
        ctas=CtaTable(
            tile_ptr=np.arange(count + 1, dtype=np.int64),
            sequence=index // heads,
            last_line=none,
            root=none,
            output=index + np.int32(count),
        ),
        work=TileWork(
            tokens=np.full(count, model.head_dim, np.int32),
            computed=np.full(count, model.head_dim, np.int32),
            token_first=zero.astype(np.int32),
            packed_bytes=np.full(count, size),
            unpack_values=zero,
            qk_flops=zero,
            pv_flops=zero,
            sram_bytes=zero,
            exps=np.full(count, model.head_dim),
            alu_ops=np.full(count, OPS_PER_VALUE * values),
        ),
        tile_line=none,
        fetches=fetch_table(runs, classes, writes_from=count),
        buffer_bytes=size,
        ctas_per_sm=ctas_per_sm,
        mma="fp16",
        code_trips=profile.code_trips,
        prologue_clk=profile.prologue_clk,
        epilogue_clk=profile.epilogue_clk,
        token_issue_clk=profile.tile_issue_clk / profile.tile_tokens[0],
        barrier_clk=profile.barrier_clk,
    )
