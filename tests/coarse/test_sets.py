"""Where tiles lie, at tile grain: their blocks in the sets of L2, their KV as others read it."""

import numpy as np
import pytest
from numba import njit

from sim.attention_run import Task, coarse_kernel, find_mapping
from sim.cli.job import engine_step
from sim.coarse import columns as c
from sim.coarse.estimate import Coarse, Problem
from sim.coarse.sets import drawn_places, sets_of
from sim.coarse.shares import ONE
from sim.coarse.slices import slice_numbers
from sim.config.load import load_hardware, load_profile, load_workload, model_of
from sim.lowering.units import attention_units
from sim.memory import mapping, params
from sim.memory.addresses import build_address_map
from sim.memory.build import from_params
from sim.memory.granule import granule_bytes
from sim.memory.params import Param
from sim.memory.pointer import cells


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


@njit
def numbered(m: np.ndarray, addresses: np.ndarray, slices: np.ndarray, sets: np.ndarray) -> None:
    p = cells(m)
    for i in range(len(addresses)):
        slices[i] = mapping.number_of(p, addresses[i])
        sets[i] = mapping.set_of(p, addresses[i])


@pytest.mark.parametrize("hardware", ["l40s", "rtx_pro_6000_server", "a100_sxm_80gb", "h200_sxm"])
def test_sets_are_those_of_the_memory_plane(hardware: str) -> None:
    problem, kernel = kernel_of(hardware, "fa2", "batch=2", "context=2048")
    v = params.build(problem.hw, granule=granule_bytes(problem.hw, kernel.grid.sample.fetches))
    own, near = int(v[Param.SETS]), int(v[Param.SLICES_NEAR] if v[Param.COPIES] else v[Param.SLICES_SEEN])
    address = np.random.default_rng(1).integers(0, 1 << 38, 20_000)
    slices, sets = np.zeros_like(address), np.zeros_like(address)
    m = from_params(v, kernel.grid.sample.fetches)
    numbered(m, address, slices, sets)
    assert (sets_of(address, own * near, kernel.grid, problem.hw) == sets * near + slices % near).all()
    assert len(np.unique(sets)) == own


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


def test_a_tile_in_which_a_prefix_ends_is_read_by_one_and_half_of_it_found() -> None:
    """Five tiles of 128 tokens a sequence, 320 tokens shared by 32: two tiles are everybody's; of the third, half is
    found by all but the first. So memory brings 320 + 32 x 320 tokens of each head."""
    _, kernel = kernel_of("h100_sxm", "fa3", "batch=32", "context=640", "shared_prefix=320", "page_tokens=16")
    grid, objects = kernel.grid, kernel.reuse.objects.reshape(32, 8, 5)
    readers = np.bincount(kernel.reuse.objects)[objects]
    assert (readers == [32, 32, 1, 1, 1]).all()
    foreign = grid.classes[grid.tile_class, c.FOREIGN].reshape(32, 8, 5)
    assert (foreign[1:] == [0, 0, ONE // 2, 0, 0]).all()
    assert (foreign[0] == 0).all()
    own = (1 - foreign / ONE) / readers * 128
    assert own.sum() == pytest.approx(8 * (320 + 32 * 320))


def test_what_several_read_passes_the_slices_that_it_lies_on() -> None:
    """H100 with 24 sequences that share 2,048 of 4,096 tokens: blocks of a shared tile of 128 tokens are 64 of K and 64
    of V, on the slices at their addresses; what one sequence reads alone may lie anywhere."""
    problem, kernel = kernel_of("h100_sxm", "fa3", "batch=24", "context=4096", "shared_prefix=2048")
    grid, objects = kernel.grid, kernel.reuse.objects
    shared = np.bincount(objects) > 1
    assert (grid.slices_of[shared] >= 0).all()
    assert (grid.slices_of[~shared] == -1).all()
    assert shared.sum() == 8 * 2048 // 128
    assert grid.tiles == 24 * 8 * 4096 // 128
    first = objects[0]
    frame, addresses = int(problem.step.table[0]), problem.addresses
    bases = [np.int64(part.base) for part in addresses.parts[0]]
    one, start = np.int64(0), np.array([256, frame])
    block = np.array([int(addresses.run_start(base, start[0], start[1], one, one)) // 512 for base in bases])
    at = grid.slices_of[first]
    # K and V by turns, so that a CTA that reads the beginning of a tile reads that of both
    assert (grid.slices[at : at + 2] == slice_numbers(block, 80, hashed=True) % 40).all()
    assert grid.classes[grid.tile_class[0], c.BLOCKS] == 128
