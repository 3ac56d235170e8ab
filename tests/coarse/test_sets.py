"""Where tiles lie, at tile grain: their blocks in the sets of L2, their KV as others read it."""

import numpy as np
import pytest

from sim.attention_run import Task, coarse_kernel, find_mapping
from sim.cli.job import engine_step
from sim.coarse import columns as c
from sim.coarse.estimate import Coarse, Problem
from sim.coarse.sets import drawn_places, sets_of
from sim.coarse.shares import ONE
from sim.config.load import load_hardware, load_profile, load_workload, model_of
from sim.lowering.units import attention_units
from sim.memory.addresses import build_address_map


def kernel_of(hardware: str, kernel: str, *sets: str) -> tuple[Problem, Coarse]:
    hw = load_hardware(hardware, ()).spec
    spec = load_workload(
        "decode_16x8k", tuple(f"workload.{text}" for text in (f"kernel={kernel}", *sets))
    ).spec
    task = Task(hw, spec, "gqa", engine_step(spec, model_of(spec), 0, hw), [load_profile(kernel)])
    addresses = build_address_map(task.step, spec.layout, spec.table_entry_bytes)
    return coarse_kernel(task, addresses, find_mapping(task, addresses).candidate.cut)


def test_contiguous_memory_fills_all_sets_of_all_slices_alike() -> None:
    """L40S: 48 slices in one partition, 128 sets of granules of 512 B in each; the round after all of them is the first
    set's again."""
    problem, kernel = kernel_of("l40s", "fa2", "batch=2", "context=2048")
    hw, block = problem.hw, 512
    assert (hw.l2.slices, hw.l2.partitions, hw.hbm.interleave_bytes) == (48, 1, block)
    own = 96 * 2**20 // (48 * 16 * block)
    address = np.arange(3 * 48 * own, dtype=np.int64) * block
    used = np.bincount(sets_of(address, own, kernel.grid, hw), minlength=own)
    assert (used == 3 * 48).all()
    assert (sets_of(address[:48], own, kernel.grid, hw) == 0).all()


def test_blocks_lie_in_their_tile_k_before_v() -> None:
    problem, kernel = kernel_of("l40s", "fa2", "batch=2", "context=2048", "page_tokens=16")
    units, cut = attention_units(problem.step, problem.cut), problem.cut
    objects = kernel.reuse.objects
    places = drawn_places(problem.step, units, kernel.grid, cut, objects, 4)
    assert places.pool.tolist() == [0, 0, 1, 1]
    half = cut.tile_tokens // 2
    within = places.token % cut.tile_tokens // half
    assert (within == [0, 1, 0, 1]).all()
    pools = places.addresses(problem.step, problem.addresses)
    value_base = problem.addresses.parts[0][1].base
    assert (pools[:, :2] < value_base).all()
    assert (pools[:, 2:] >= value_base).all()


@pytest.mark.parametrize("context", [740 * 16, 768 * 16])
def test_splits_that_begin_within_a_tile_share_no_kv_with_those_before(context: int) -> None:
    """FlashInfer splits by pages: 740 tokens of a split are 11 and a half tiles of 64."""
    _, kernel = kernel_of("h200_sxm", "flashinfer", "batch=2", f"context={context}", "page_tokens=1")
    assert len(np.unique(kernel.reuse.objects)) == kernel.grid.tiles


def test_a_last_tile_that_is_loaded_whole_holds_pages_of_the_next_sequence() -> None:
    """576 tokens in tiles of 128: of the fifth tile, half. With pages of 64 all of that is another sequence's; with one
    of 32 more tokens in the last page, what is left of it is nobody's. fa3 loads what there is."""
    for context, share in ((576, 0.5), (544, 0.5), (640, 0.0)):
        _, kernel = kernel_of("b200", "trtllm_gen", "batch=256", f"context={context}", "page_tokens=64")
        grid = kernel.grid
        last = grid.classes[grid.tile_class[grid.tile_ptr[1:] - 1], c.FOREIGN]
        assert (last == share * ONE).all()
        assert (grid.classes[grid.tile_class[grid.tile_ptr[:-1]], c.FOREIGN] == 0).all()
    _, kernel = kernel_of("h100_sxm", "fa3", "batch=64", "context=576", "page_tokens=64")
    assert (kernel.grid.classes[:, c.FOREIGN] == 0).all()
