"""Paged decode on AMD parts: what a compute unit holds of each kernel, how it cuts a context, what an item loads."""

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry
from sim.config.load import load_hardware, load_profile
from sim.lowering.attention import build_attention
from sim.lowering.attention_tiles import LookUp
from sim.lowering.candidates import Candidate, candidates
from sim.lowering.combine import build_combine
from sim.lowering.units import attention_units
from sim.memory.addresses import build_address_map

MI300X = load_hardware("mi300x").spec
KIB = 1024


def mapped(profile: str, batch: int, kv_heads: int, context: int) -> tuple[object, Candidate]:
    """`batch` sequences of groups of 4 query heads, head_dim 128, BF16, pages of 16 tokens."""
    lengths, ones = np.full(batch, context, np.int32), np.ones(batch, np.int32)
    geometry = Geometry(4 * kv_heads, kv_heads, 128, 128)
    step = make_step(Batch("decode", geometry, lengths, ones, 16, formats=("bf16",)), 0)
    return step, candidates(step, [load_profile(profile)], None, MI300X, 4)[0]


@pytest.mark.parametrize(
    ("profile", "register_kib", "workgroups"),
    [
        ("paged_rocm", 96, 5),  # 4 x 64 lanes x 96 registers of 4 B; a compute unit has 512 KiB
        ("aiter_paged", 168, 3),
        ("aiter_pa_asm", 255, 2),
        ("aiter_pa_gluon", 255, 2),
    ],
)
def test_registers_decide_how_many_workgroups_share_a_compute_unit(
    profile: str, register_kib: int, workgroups: int
) -> None:
    """K and V of 256 tokens, 128 KiB, are twice the LDS: they are no part of what it holds."""
    _, choice = mapped(profile, 64, 8, 4096)
    held = choice.footprint
    assert (held.register_bytes, held.stage_bytes, held.query_bytes) == (register_kib * KIB, 0, 0)
    assert held.ctas_per_sm == choice.cut.ctas_per_sm == workgroups


@pytest.mark.parametrize(
    ("profile", "batch", "kv_heads", "context", "chunk"),
    [
        ("paged_rocm", 1, 8, 4096, 256),  # 256 tokens, whatever the grid
        ("paged_rocm", 64, 8, 4096, 256),
        ("aiter_pa_asm", 4, 1, 4096, 4096),  # a workgroup per sequence and KV head
        ("aiter_pa_gluon", 4, 1, 4096, 512),  # 2 x 304 / 4 = 152 pieces, 8 at most
        ("aiter_pa_gluon", 64, 8, 4096, 2048),  # 608 / 512, rounded up: 2
        ("aiter_pa_gluon", 128, 8, 4096, 4096),
        ("aiter_pa_gluon", 4, 1, 600, 256),  # three blocks of 256: no more pieces than that
    ],
)
def test_contexts_are_cut_by_the_rule_of_the_library(
    profile: str, batch: int, kv_heads: int, context: int, chunk: int
) -> None:
    assert set(mapped(profile, batch, kv_heads, context)[1].cut.chunks) == {chunk}


def test_an_item_of_the_custom_kernel_is_one_tile_and_a_reduction_takes_one_row() -> None:
    """64 sequences x 8 KV heads x 8 partitions of 2 x 256 x 128 values of 2 bytes; 64 x 32 rows to merge."""
    step, choice = mapped("paged_rocm", 64, 8, 2048)
    units = attention_units(step, choice.cut)
    addresses = build_address_map(step, "HND", 4)
    look_up = LookUp(software=True, assist=False, entry_bytes=4, two_level=False)
    launch = build_attention(step, units, choice.cut, MI300X, addresses, look_up)
    assert len(launch.work.tokens) == len(units.sequence) == 64 * 8 * 8
    assert (launch.work.packed_bytes == 2 * 256 * 128 * 2).all()
    merge = build_combine(step, units, choice.cut, addresses)
    assert merge is not None
    assert len(merge.ctas.sequence) == 64 * 32
