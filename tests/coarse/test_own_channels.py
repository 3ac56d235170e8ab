"""Blocks and look-ups that wait each at its own channel: sums by hand, and the memory plane's own places."""

from dataclasses import replace

import numpy as np
import pytest
from numba import njit

from sim.attention_run import Task, coarse_kernel, find_mapping, problem_of
from sim.cli.job import engine_step, run_named
from sim.coarse import channels
from sim.coarse import columns as c
from sim.coarse import state as layout
from sim.coarse.estimate import Coarse, Problem, attention_grid_of, build_coarse
from sim.coarse.jit import entry
from sim.coarse.shares import ONE
from sim.coarse.units import SM_COLS
from sim.config.load import load_hardware, load_profile, load_workload, model_of
from sim.lowering.units import attention_units
from sim.memory import params
from sim.memory.addresses import build_address_map
from sim.memory.build import from_params
from sim.memory.fetches import FetchTable
from sim.memory.mapping import place
from sim.memory.params import Param
from sim.memory.pointer import cells
from sim.memory.request import CHANNEL_SHIFT

BLOCK_PS = 20_480
"""A block of 512 bytes at one of two channels, 40 ps a byte: 20 of both together."""
at_channels, line_wait, farther = (
    entry(part.py_func) for part in (channels.at_channels, channels.line_wait, channels.farther)
)
TWO = {c.CHANNELS: 2, c.HBM_Q16: 20 * ONE}


def machine(scalars: dict[int, int], beyond: list[int]) -> tuple[layout.Grid, layout.State]:
    """A tile of 512-byte blocks, of K all, at these channels beyond that of its first one, which is 0; none is busy."""
    p = np.zeros(c.SCALARS, np.int64)
    for key, value in (TWO | scalars).items():
        p[key] = value
    classes = np.zeros(c.CLASS_COLS, np.int64)
    classes[c.BYTES], classes[c.BLOCKS] = 512 * len(beyond), len(beyond)
    none = np.zeros(4, np.int64)
    grid = layout.Grid(p, *[none] * (len(layout.Grid._fields) - 1))._replace(
        classes=classes, channels=np.array(beyond) * channels.POOLS, begins=np.zeros(2, np.int64), lines=none
    )
    rows = {name: np.zeros(SM_COLS, np.int64) for name in layout.State._fields}
    rows["sms"][layout.P_LEFT] = classes[c.BYTES]
    rows["g"][layout.G_RANDOM] = 1
    return grid, layout.State(**rows)


@pytest.mark.parametrize(
    ("beyond", "mean", "latest"),
    [([0, 1, 0, 1], 1.5, 2), ([0, 0, 0, 0], 2.5, 4)],
    ids=["two on each channel", "all on one"],
)
def test_blocks_of_a_segment_wait_for_those_on_their_own_channel(
    beyond: list[int], mean: float, latest: int
) -> None:
    """Four at once: two pass each channel after 1 and 2 blocks, or all pass one after 1, 2, 3 and 4."""
    grid, state = machine({}, beyond)
    found = at_channels(grid, state, 0, 2048, 0, 2048, 1_000_000, 0)
    assert found == (1_000_000 + mean * BLOCK_PS, 1_000_000 + latest * BLOCK_PS)


def test_blocks_that_come_no_faster_than_their_channel_serves_them_do_not_wait() -> None:
    """Four of one channel over four times that: each is through one after it came."""
    grid, state = machine({}, [0, 0, 0, 0])
    found = at_channels(grid, state, 0, 2048, 0, 2048, 1_000_000, 4 * BLOCK_PS)
    assert found[1] == 1_000_000 + BLOCK_PS


def test_a_look_up_waits_for_its_own_channel_alone() -> None:
    """Of a line of 128 bytes: a quarter of a block, beside a channel that is busy for 50 blocks."""
    grid, state = machine({c.LINE_BYTES: 128}, [0])
    state.channels[1] = 50 * BLOCK_PS
    assert line_wait(grid, state, 0, 0, 0) == BLOCK_PS // 4
    grid.lines[channels.LINE_COLS + channels.L_CHANNEL] = 1
    assert line_wait(grid, state, 1, 0, 0) == 50 * BLOCK_PS + BLOCK_PS // 4


def test_what_the_scheduler_sees_is_served_in_any_order() -> None:
    """Ten blocks wait, of which the scheduler sees six: from three sooner to three later, in the mean in order."""
    grid, state = machine({c.WINDOW: 6 * BLOCK_PS}, [0])
    waits = []
    for _ in range(2000):
        state.channels[0] = 10 * BLOCK_PS
        waits.append(line_wait(grid, state, 0, 0, 0) / BLOCK_PS)
    assert 7 <= min(waits) < 7.05
    assert 12.95 < max(waits) <= 13
    assert abs(np.mean(waits) - 10) < 0.15


def test_the_way_of_a_look_up_is_that_to_the_home_of_its_line() -> None:
    """Four partitions, 40 ns farther than near: 30 on average, so 10 more to each other one and 30 less to the own."""
    grid, _ = machine({c.GROUPS: 4, c.FAR_EXTRA: 2 * 10_000}, [0])
    extra = [farther(grid, 0, group) for group in range(4)]
    assert extra == [-60_000, 20_000, 20_000, 20_000]
    assert sum(extra) == 0


@njit
def in_plane(memory: np.ndarray, addresses: np.ndarray) -> np.ndarray:
    """Channel of each address in a memory plane of these parameters."""
    m = cells(memory)
    numbers = np.zeros(len(addresses), np.int64)
    for i in range(len(addresses)):
        numbers[i] = place(m, addresses[i]) >> CHANNEL_SHIFT
    return numbers


@pytest.mark.parametrize("hardware", ["b200", "h200_sxm"])
def test_blocks_lie_on_the_channels_of_the_memory_plane(hardware: str) -> None:
    hw = load_hardware(hardware).spec
    none = np.empty(0, np.int64)
    memory = from_params(params.build(hw), FetchTable(np.zeros(1, np.int64), none, none, none, none))
    block = np.random.default_rng(3).integers(0, 1 << 26, 300)
    found = channels.channel_of(block, hw)
    assert (found == in_plane(memory, block << int(memory[Param.BLOCK_SHIFT]))).all()


def kernel(page: int, *, own: bool) -> tuple[Problem, Coarse]:
    """FlashInfer on B200, one KV head of eight sequences: with or without a queue for each channel."""
    sets = ("batch=8", "context=2048", f"page_tokens={page}", "tensor_parallel=8", "kernel=flashinfer")
    hw = load_hardware("b200").spec
    spec = load_workload("decode_16x8k", tuple(f"workload.{text}" for text in sets)).spec
    task = Task(hw, spec, "gqa", engine_step(spec, model_of(spec), 0, hw), [load_profile("flashinfer")])
    addresses = build_address_map(task.step, spec.layout, spec.table_entry_bytes)
    cut = find_mapping(task, addresses).candidate.cut
    if not own:
        return coarse_kernel(task, addresses, cut)
    problem, units = problem_of(task, addresses, cut), attention_units(task.step, cut)
    problem = replace(problem, memory=replace(problem.memory, channels=True))
    return problem, build_coarse(problem, units, attention_grid_of(problem, units))


def test_tiles_begin_on_the_channels_of_their_own_addresses() -> None:
    """Of every tile that was lowered, all runs: what the plane has is the channel of the tile's first block in the pool
    and what lies beyond that, where no turn of the hash is between."""
    problem, made = kernel(1, own=True)
    grid, hw = made.grid, problem.hw
    start, _, tile = channels.blocks_of(grid.sample)
    shift = int(params.build(hw)[Param.BLOCK_SHIFT])
    first = np.flatnonzero(np.diff(tile, prepend=-1))
    lowered = grid.classes[tile[first], c.FIRST_BLOCK]
    assert (grid.channels[lowered] == 0).all()  # the first block of K is beyond itself by none
    begins = grid.begins.reshape(-1, channels.POOLS)[:, 0]
    assert set(channels.channel_of(start[first] >> shift, hw)) <= set(begins)
    load = np.bincount(begins, minlength=256)
    assert load.sum() == made.grid.tiles


def test_a_search_has_one_queue_and_samples_one_for_each_channel() -> None:
    """The mapping of a full run follows from the first."""
    assert len(kernel(1, own=False)[1].grid.channels) == 0
    assert len(kernel(1, own=True)[1].grid.channels) > 0


@pytest.mark.slow
def test_a_sample_of_ctas_that_wait_for_look_ups_is_near_the_full_run() -> None:
    """16 sequences of 64K tokens over one KV head, pages of one token: CTAs drift apart within a few of their 58 tiles.
    With one queue for all channels they never do, and the sample is 16% too slow."""
    sets = ["batch=16", "context=65536", "page_tokens=1", "tensor_parallel=8", "kernel=flashinfer"]
    times = {
        fidelity: run_named(
            "decode_16x8k",
            "b200",
            tuple(f"workload.{text}" for text in sets),
            fidelity=fidelity,
            seed=0,
            what_if=False,
            verify=False,
        ).time_ns
        for fidelity in ("full", "sampled")
    }
    assert times["sampled"] == pytest.approx(times["full"], rel=0.03)


def test_lines_are_spread_over_all_channels_and_homes() -> None:
    _, made = kernel(1, own=True)
    lines = made.grid.lines.reshape(-1, channels.LINE_COLS)
    assert len(lines) >= 8 * 2048 // 32
    assert set(lines[:, channels.L_HOME]) == {0, 1}
    blocks = len(lines) * 128 // 512
    assert len(set(lines[:, channels.L_CHANNEL])) >= blocks // 2
