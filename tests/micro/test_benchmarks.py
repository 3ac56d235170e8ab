"""Benchmarks on a machine of round numbers give what stands on paper."""

import pytest

from sim.config.hardware import Hardware
from sim.memory.dram.standards import STANDARDS
from sim.memory.peaks import peak_gb_s
from sim.micro.chase import (
    ChasePoint,
    chase,
    chase_lines,
    chase_pages,
    chase_point,
    chase_touched,
    tlb_spans_mib,
)
from sim.micro.driver import run
from sim.micro.gather import GatherPoint, gather, gather_point, table_chase, table_point, word_chase
from sim.micro.inflight import BLOCK_CLK, LOOP_CLK, Loads, inflight, inflight_point
from sim.micro.stream import Stream, StreamPoint, launch_point, stream, stream_point

HBM3 = STANDARDS["HBM3"]
MIB = 1 << 20
CACHED_NS = 32 / 128 + 2 * 50 + 40
"""Address generation of 32 bytes at 128 a clock of 1 GHz, network of 50 ns there and back, slice of 40 ns."""
MEMORY_NS = CACHED_NS + 100 + HBM3.trcd_ns + HBM3.tcl_ns + HBM3.burst_ns
"""And a controller of 100 ns, a closed row, its column, its burst."""


def chased(machine: Hardware, mib: float) -> ChasePoint:
    return chase_point(run(chase(machine, mib, 0)))


def streamed(machine: Hardware, what: Stream) -> StreamPoint:
    return stream_point(run(stream(machine, what, 0)))


def replayed(machine: Hardware, mib: float) -> StreamPoint:
    return streamed(machine, Stream(mib, warm=True))


def gathered(machine: Hardware, run_bytes: int, seed: int = 0) -> GatherPoint:
    return gather_point(run(gather(machine, run_bytes, 4096, seed)))


def test_a_chase_inside_l2_costs_network_and_slice_and_one_outside_the_empty_bank_too(
    machine: Hardware,
) -> None:
    inside, outside = chased(machine, 0.25), chased(machine, 16)
    slice_ns = 32 / (1024 / 8)
    assert inside.hbm_share == 0
    assert inside.latency_ns == pytest.approx(CACHED_NS + slice_ns, abs=0.01)
    assert outside.hbm_share == 1
    assert outside.latency_ns == pytest.approx(MEMORY_NS, abs=0.01)


def test_a_chase_has_no_use_of_a_gathers_run_set_up(machine: Hardware) -> None:
    slower = machine.model_copy(update={"gather": machine.gather.model_copy(update={"issue_clk": 1000.0})})
    assert chased(slower, 0.25) == chased(machine, 0.25)


def test_a_chase_of_pages_beyond_the_tlb_walks_for_every_load(machine: Hardware) -> None:
    """16 pages of 2 MiB, 8 entries: page after page, none is there when its turn comes."""
    tlb = machine.tlb.model_copy(
        update={"l1_entries": 1, "l2_entries": 8, "l2_latency_ns": 20.0, "walk_ns": 400.0}
    )
    found = chase_pages(machine.model_copy(update={"tlb": tlb}))
    assert found is not None
    mib, point = found
    assert mib == 16 * 2
    assert point.walk_share == 1
    assert point.latency_ns == pytest.approx(MEMORY_NS + 20 + 400, rel=0.02)


def test_memory_within_the_tlbs_reach_has_no_page_walk_plateau(machine: Hardware) -> None:
    tlb = machine.tlb.model_copy(update={"l2_entries": 1 << 20})
    assert chase_pages(machine.model_copy(update={"tlb": tlb})) is None


def test_a_chase_of_one_line_a_page_pays_the_second_tlb_level_beyond_the_first(machine: Hardware) -> None:
    """One entry reaches one page of 2 MiB. The lines are in L2."""
    tlb = machine.tlb.model_copy(update={"l1_entries": 8, "l2_latency_ns": 20.0})
    two_levels = machine.model_copy(update={"tlb": tlb})
    near, beyond = (chase_point(run(chase_lines(two_levels, mib, 0))) for mib in (16, 1024))
    hit_ns = CACHED_NS + 32 / (1024 / 8)
    assert (near.hbm_share, beyond.hbm_share) == (0, 0)
    assert near.latency_ns == pytest.approx(hit_ns, abs=0.01)
    assert beyond.latency_ns == pytest.approx(hit_ns + 20, rel=0.02)


def test_spans_of_such_chases_end_at_half_the_memory(machine: Hardware) -> None:
    small = machine.model_copy(update={"hbm": machine.hbm.model_copy(update={"capacity_gib": 2.0})})
    assert tlb_spans_mib(small) == [16, 64, 256, 1024]


def test_threads_that_loop_pay_their_loop_and_no_block(machine: Hardware) -> None:
    """One warp on each of 4 SMs, 16 B a thread: 512 B at the latency of the last burst, then the loop."""
    loads = Loads(16, loop=True)
    bench = inflight(machine, 4 * 32, loads=loads)
    point = inflight_point(bench, run(bench), loads)
    latency = MEMORY_NS + 15 * HBM3.tccd_l_ns + (512 - 32) / 128
    assert (point.threads, point.inflight_kib) == (128, 2.0)
    assert point.gb_s == pytest.approx(4 * 512 / (latency + LOOP_CLK), rel=0.06)


def test_a_loop_goes_to_l2_for_each_new_sector_of_its_table(machine: Hardware) -> None:
    """All loads together move on by 64 KiB a turn: an eighth of the 512 KiB of a sector; a hit takes 140 ns."""
    loads = Loads(16, loop=True)
    assert inflight(machine, 4096, loads=loads).crew.issue_ns == pytest.approx(LOOP_CLK + 140 / 8)
    assert inflight(machine, 1 << 20, loads=loads).crew.issue_ns == pytest.approx(LOOP_CLK + 140)


@pytest.fixture(scope="module")
def halves(machine: Hardware) -> Hardware:
    """8 MiB of L2 in two partitions that keep copies of each other's data, the least recently used line replaced."""
    l2 = {"capacity_mib": 8.0, "partitions": 2, "far_copies": True, "replacement": "lru"}
    return machine.model_copy(update={"l2": machine.l2.model_copy(update=l2)})


def test_a_replay_by_own_sms_stays_in_l2_as_long_as_its_copies_fit(halves: Hardware) -> None:
    """Half of what an SM reads has its home in the other partition and is held twice: 1.5 times the footprint. With LRU
    nothing of a footprint as large as the L2 is there when its turn comes, but for what SMs ahead have brought.
    """
    inside, beyond = (streamed(halves, Stream(mib, warm=True, launch=True)) for mib in (4.0, 8.0))
    assert inside.hbm_share == 0
    assert beyond.hbm_share > 0.97
    assert beyond.far_share == pytest.approx(0.5, abs=0.02)


def test_a_launch_takes_its_bytes_time_and_the_way_of_its_first_access(machine: Hardware) -> None:
    """In L2 the ports' 4 x 64 B a clock and one hit, which is taken off. From memory the steady stretch's time, and at
    least what a first miss takes longer than a hit."""

    def launched(mib: float) -> StreamPoint:
        return launch_point(run(stream(machine, Stream(mib, warm=True, launch=True), 0)), machine)

    inside, beyond = launched(machine.l2.capacity_mib / 2), 8 * machine.l2.capacity_mib
    assert inside.hbm_share == 0
    assert inside.gb_s == pytest.approx(4 * 64, rel=0.02)
    steady = streamed(machine, Stream(beyond, warm=True)).gb_s
    ramps_ns = beyond * MIB * (1 / launched(beyond).gb_s - 1 / steady)
    assert MEMORY_NS - CACHED_NS < ramps_ns < 6 * MEMORY_NS


def test_a_chase_after_reads_by_all_sms_stays_near_as_long_as_all_copies_fit(halves: Hardware) -> None:
    """32 MiB are read at a time; what is read after them fills the L2 alone."""
    inside, beyond = (chase_point(run(chase_touched(halves, mib, 0))) for mib in (4.0, 48.0))
    assert inside.hbm_share + inside.far_share < 0.01
    assert beyond.hbm_share > 0.97
    assert beyond.far_share == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("threads", [4 * 32, 4 * 256])
def test_few_bytes_in_flight_reach_their_number_over_latency_and_turn_over(
    machine: Hardware, threads: int
) -> None:
    """Little's law; a block of a warp or more is fetched in pieces, the last of which comes tCCD_L a burst later."""
    block_bytes = threads // 4 * 8
    bursts = min(block_bytes, 512) // 32 - 1
    latency = MEMORY_NS + bursts * HBM3.tccd_l_ns + (block_bytes - 32) / 128
    turn = machine.launch.cta_ns + BLOCK_CLK
    bench = inflight(machine, threads)
    point = inflight_point(bench, run(bench))
    assert point.inflight_kib == threads * 8 / 1024
    assert point.gb_s == pytest.approx(threads * 8 / (latency + turn), rel=0.06)


def test_a_replay_below_the_capacity_reads_no_memory_and_one_of_eight_times_reads_all(
    machine: Hardware,
) -> None:
    assert replayed(machine, 0.5).hbm_share == 0
    assert replayed(machine, 8).hbm_share == pytest.approx(1, abs=0.05)


def test_a_replay_in_l2_is_held_by_ports_and_slices_and_a_cold_read_by_memory(machine: Hardware) -> None:
    ports = 4 * 64
    assert 0.85 * ports < replayed(machine, 0.5).gb_s <= ports * 1.001
    few = machine.model_copy(update={"l2": machine.l2.model_copy(update={"bandwidth_gb_s": 128.0})})
    assert 0.9 * 128 < replayed(few, 0.5).gb_s <= 128 * 1.001
    cold = streamed(machine, Stream(512, passes=1))
    assert cold.hbm_share == pytest.approx(1, abs=0.01)
    assert cold.gb_s <= min(ports, peak_gb_s(machine.hbm)) * 1.001


def test_writes_reach_memory_and_not_more_than_its_peak(machine: Hardware) -> None:
    narrow = machine.model_copy(update={"hbm": machine.hbm.model_copy(update={"peak_gb_s": 64.0})})
    point = streamed(narrow, Stream(256, passes=1, write=True))
    assert point.hbm_share == pytest.approx(1, abs=0.01)
    assert 0.4 * 64 < point.gb_s <= 64 * 1.001


@pytest.mark.parametrize(("size", "moved"), [(64, 64), (512, 512)])
def test_runs_move_whole_sectors(machine: Hardware, size: int, moved: int) -> None:
    assert gathered(machine, size).overfetch == moved / size


def test_short_runs_are_held_by_their_set_up(machine: Hardware) -> None:
    """64 B in 10 clk of set-up and half a clk of addresses, on each of 4 SMs."""
    assert gathered(machine, 64).gb_s == pytest.approx(4 * 64 / 10.5, rel=0.05)


def test_a_block_table_step_is_an_entry_and_then_its_page(machine: Hardware) -> None:
    """Each begins with a run set-up of 10 ns; the page's last burst comes tCCD_L a burst later."""
    point = table_point(run(table_chase(machine, 512, 4096, 0)))
    entry = 10 + 4 / 128 + MEMORY_NS - 32 / 128
    page = 10 + 512 / 128 + MEMORY_NS - 32 / 128 + 15 * HBM3.tccd_l_ns
    assert point.entry_ns == pytest.approx(entry, rel=0.01)
    assert point.step_ns == pytest.approx(entry + page, rel=0.01)


@pytest.mark.parametrize("page_bytes", [4096, 65536])
def test_an_entry_beside_an_earlier_one_is_in_l2(machine: Hardware, page_bytes: int) -> None:
    """Eight 4-byte entries lie in a sector, and 8192 of all are loaded, each once: 8192 loads find
    pages / 8 x (1 - (1 - 8192 / pages)^8) sectors for the first time. The words of pages share none. No run set-up:
    plain loads. 8 MiB of L2 keep them all.
    """
    large = machine.model_copy(update={"l2": machine.l2.model_copy(update={"capacity_mib": 8.0})})
    point = table_point(run(word_chase(large, page_bytes, 4096, 0)))
    drawn = 8192 * page_bytes / 2**32
    missed = (1 - (1 - drawn) ** 8) / (8 * drawn)
    word = MEMORY_NS - 28 / 128
    hit = CACHED_NS - 28 / 128 + 32 / 128
    assert point.entry_ns == pytest.approx(missed * word + (1 - missed) * hit, rel=0.01)
    assert point.step_ns - point.entry_ns == pytest.approx(word, rel=0.01)


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(machine: Hardware) -> None:
    assert gathered(machine, 512, 1) == gathered(machine, 512, 1)
    assert gathered(machine, 512, 1) != gathered(machine, 512, 2)
