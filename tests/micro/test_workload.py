"""A microbenchmark as a workload: a Result whose numbers stand on paper, and clear words for what cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim.causes import CAUSES
from sim.cli.job import simulate
from sim.config.hardware import Hardware
from sim.config.load import load_any_workload, load_hardware, load_workload
from sim.config.micro import Micro
from sim.errors import InputError
from sim.memory.dram.standards import STANDARDS
from sim.memory.peaks import peak_gb_s
from sim.micro.chase import chase, chase_point
from sim.micro.driver import run
from sim.result import Result

HBM3 = STANDARDS["HBM3"]
TRIP_NS = 2 * 50 + 40
"""Network of 50 ns there and back, slice of 40 ns."""
ADDRESS_NS, SLICE_NS = 32 / 128, 32 / 128
"""32 bytes of addresses at 128 B a clock of 1 GHz; 32 bytes of a slice of 128 GB/s."""
MEMORY_NS = ADDRESS_NS + TRIP_NS + 100 + HBM3.trcd_ns + HBM3.tcl_ns + HBM3.burst_ns
CLOSED = 1e-9


def spec(**keys: Any) -> Micro:
    return Micro.model_validate({"name": "micro", "kind": "micro"} | keys)


def result_of(machine: Hardware, **keys: Any) -> Result:
    return simulate(machine, spec(**keys))


def test_a_warm_chase_within_l2_takes_the_latency_of_l2(machine: Hardware) -> None:
    result = result_of(machine, benchmark="chase", footprint_mib=0.25, l2_state="warm")
    """One load for each tag: so small ones make it that of a line."""
    each = ADDRESS_NS + TRIP_NS + SLICE_NS
    assert result.counters["micro_latency_ns"] == pytest.approx(each, abs=0.01)
    loads = 0.25 * 2**20 / 128
    assert result.bytes["wanted"] == loads * 32
    assert result.time_ns == pytest.approx(loads * each, rel=1e-4)
    assert result.bounds_ns["latency"] == loads * TRIP_NS
    assert result.bytes["hbm_read"] == result.bounds_ns["hbm"] == 0


def test_a_cold_chase_takes_the_latency_of_memory_and_says_where(machine: Hardware) -> None:
    result = result_of(machine, benchmark="chase", footprint_mib=0.25)
    assert result.counters["micro_latency_ns"] == pytest.approx(MEMORY_NS, abs=0.01)
    parts = {k[11:-3]: v for k, v in result.counters.items() if k.startswith("micro_wait_")}
    assert parts["noc"] == pytest.approx(2 * 50, abs=0.01)
    assert sum(parts.values()) == pytest.approx(MEMORY_NS - ADDRESS_NS, abs=0.6)


def test_a_stream_from_memory_runs_at_the_lesser_of_memory_and_ports(machine: Hardware) -> None:
    """4 ports of 64 GB/s before a memory of more or of 64 GB/s."""
    keys = {"benchmark": "stream_read", "footprint_mib": 16, "passes": 1}
    assert peak_gb_s(machine.hbm) > 256
    assert 0.85 * 256 < result_of(machine, **keys).counters["micro_gb_s"] <= 256 * 1.001
    slow = machine.model_copy(update={"hbm": machine.hbm.model_copy(update={"peak_gb_s": 64.0})})
    result = result_of(slow, **keys)
    assert 0.85 * 64 < result.counters["micro_gb_s"] <= 64 * 1.001
    assert result.bounds_ns["hbm"] == pytest.approx(2**24 / 64)
    assert result.bytes["hbm_read"] == 2**24


def test_half_the_sms_have_half_the_ports(machine: Hardware) -> None:
    keys = {"benchmark": "stream_read", "footprint_mib": 0.5, "l2_state": "warm", "passes": 16}
    four, two = result_of(machine, **keys), result_of(machine, **keys, sms=2)
    assert two.bounds_ns["noc"] == 2 * four.bounds_ns["noc"] == 2**23 / 128
    assert two.time_ns / four.time_ns == pytest.approx(2, rel=0.1)
    assert two.stalls is not None
    assert two.stalls["no_work"] == pytest.approx(0.5, abs=0.01)


def test_passes_beyond_the_caches_must_read_the_difference_each_time(machine: Hardware) -> None:
    """4 MiB three times through 1 MiB of L2: 4 MiB, then at least 3 MiB twice; warm, 3 MiB three times."""
    keys = {"benchmark": "stream_read", "footprint_mib": 4, "passes": 3}
    peak = peak_gb_s(machine.hbm)
    assert simulate(machine, spec(**keys), fidelity="bound").bounds_ns["hbm"] == pytest.approx(
        10 * 2**20 / peak
    )
    warm = simulate(machine, spec(**keys, l2_state="warm"), fidelity="bound")
    assert warm.bounds_ns["hbm"] == pytest.approx(9 * 2**20 / peak)
    assert (warm.fidelity, warm.stalls, warm.speed_of_light) == ("bound", None, 1.0)


def test_writes_beyond_l2_reach_memory(machine: Hardware) -> None:
    result = result_of(machine, benchmark="stream_write", footprint_mib=16, passes=1)
    assert 15 * 2**20 <= result.bytes["hbm_write"] <= 16 * 2**20
    assert result.bounds_ns["hbm"] == pytest.approx(15 * 2**20 / peak_gb_s(machine.hbm))
    assert result.stalls is not None
    assert result.stalls["store"] > 0.9


def test_the_bound_of_a_stream_of_writes_counts_them_as_written(machine: Hardware) -> None:
    keys: dict[str, Any] = {"benchmark": "stream_write", "footprint_mib": 16, "passes": 1}
    bound = simulate(machine, spec(**keys), fidelity="bound")
    assert bound.bytes == {"hbm_write": 15 * 2**20}
    read = simulate(machine, spec(**keys | {"benchmark": "stream_read"}), fidelity="bound")
    assert read.bytes == {"hbm_read": 16 * 2**20}


def test_a_slower_memory_controller_is_a_longer_access(machine: Hardware) -> None:
    keys: dict[str, Any] = {"benchmark": "chase", "footprint_mib": 16}
    hbm = machine.hbm.model_copy(update={"controller_ns": machine.hbm.controller_ns + 200})
    near, far = (result_of(m, **keys).counters for m in (machine, machine.model_copy(update={"hbm": hbm})))
    moved = {
        name: far[name] - near[name]
        for name in near
        if name.startswith("micro_wait") and far[name] - near[name] > 1
    }
    assert moved == {"micro_wait_hbm_service_ns": pytest.approx(200, rel=0.01)}


def test_bytes_in_flight_over_latency_and_turn_over_are_the_bandwidth(machine: Hardware) -> None:
    """Half a KiB: 16 threads of 8 bytes on each of 4 SMs, 128 B a block, whose 4 bursts come tCCD_L apart; a block
    starts in 200 ns and spends 75 clk.
    """
    result = result_of(machine, benchmark="inflight", inflight_kib=0.5)
    latency = MEMORY_NS + 3 * HBM3.tccd_l_ns + (128 - 32) / 128
    assert result.counters["micro_threads"] == 64
    assert result.counters["micro_gb_s"] == pytest.approx(512 / (latency + 200 + 75), rel=0.06)
    assert result.stalls is not None
    turn = latency + 275
    assert result.stalls["issue"] == pytest.approx(75 / turn, rel=0.1)


@pytest.mark.parametrize(("run_bytes", "moved"), [(16, 32), (40, 64), (64, 64), (1024, 1024)])
def test_a_gather_moves_whole_sectors(machine: Hardware, run_bytes: int, moved: int) -> None:
    """Runs lie at multiples of their length: one of 40 B covers two sectors, or three where it begins at 56, 88, ..."""
    result = result_of(machine, benchmark="gather", footprint_mib=512, run_bytes=run_bytes)
    wanted, requested = result.bytes["wanted"], result.bytes["l2_read"]
    if run_bytes == 40:
        starts = [40 * i % 32 for i in range(4)]
        moved = sum(-(-(start + 40) // 32) * 32 for start in starts) // 4
        assert requested / wanted == pytest.approx(moved / run_bytes, rel=0.01)
    else:
        assert requested * run_bytes == wanted * moved
    assert result.counters["micro_overfetch"] == requested / wanted


def test_a_step_of_a_block_table_chase_is_an_entry_then_a_page(machine: Hardware) -> None:
    result = result_of(machine, benchmark="block_table_chase", footprint_mib=1024, run_bytes=512)
    entry = 10 + 4 / 128 + MEMORY_NS - ADDRESS_NS
    page = 10 + 512 / 128 + MEMORY_NS - ADDRESS_NS + 15 * HBM3.tccd_l_ns
    assert result.counters["micro_entry_ns"] == pytest.approx(entry, rel=0.01)
    assert result.counters["micro_step_ns"] == pytest.approx(entry + page, rel=0.01)
    assert result.bytes["block_table"] == 1024 * 32, "a sector for each entry"
    assert 2 * result.counters["micro_wait_translation_ns"] == pytest.approx(entry, rel=0.01)


def test_a_workload_and_a_characterisation_take_the_same_point(machine: Hardware) -> None:
    point = chase_point(run(chase(machine, 0.5, 0)))
    result = result_of(machine, benchmark="chase", footprint_mib=0.5, l2_state="warm")
    assert result.counters["micro_latency_ns"] == point.latency_ns


@pytest.mark.parametrize("hardware", ["a100_sxm_80gb", "b200", "mi300x", "l4"])
@pytest.mark.parametrize(
    ("name", "sets"),
    [
        ("micro_chase", ("workload.footprint_mib=1",)),
        ("micro_stream_read", ("workload.footprint_mib=48", "workload.l2_state=warm")),
        ("micro_stream_write", ("workload.footprint_mib=96",)),
        ("micro_inflight", ("workload.inflight_kib=64",)),
        ("micro_gather", ("workload.run_bytes=4096",)),
        ("micro_block_table_chase", ()),
    ],
)
def test_the_account_closes_bytes_balance_and_no_bound_is_beaten(
    name: str, sets: tuple[str, ...], hardware: str
) -> None:
    workload = load_any_workload(name, sets).spec
    assert isinstance(workload, Micro)
    result = simulate(load_hardware(hardware).spec, workload)
    assert result.stalls is not None
    assert set(result.stalls) == set(CAUSES)
    assert sum(result.stalls.values()) == pytest.approx(1, abs=CLOSED)
    assert result.bound_ns <= result.time_ns
    read = result.bytes["l2_read"] + result.bytes["l2_write"]
    assert result.bytes["l2_hit"] + result.bytes["l2_miss"] <= read
    assert result.counters["requested"] == read
    assert (result.steps, result.tokens, result.kv) == (1, None, {})


def test_what_if_says_what_a_dependent_load_is_worth(machine: Hardware) -> None:
    """Without entries a step is its page; memory without latency leaves the burst, ways and set-up."""
    keys = {"benchmark": "block_table_chase", "footprint_mib": 64, "run_bytes": 512}
    gains = simulate(machine, spec(**keys), what_if=True).what_if
    assert gains is not None
    entry = 10 + 4 / 128 + MEMORY_NS - ADDRESS_NS
    page = 10 + 512 / 128 + MEMORY_NS - ADDRESS_NS + 15 * HBM3.tccd_l_ns
    assert gains["free_translation"] == pytest.approx((entry + page) / page, rel=0.01)
    assert gains["free_unpack"] == 1


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"benchmark": "chase", "footprint_mib": 1e6},
            "workload.footprint_mib: found 1000000.0; allowed on ",
        ),
        ({"benchmark": "chase", "footprint_mib": 0.001}, "workload.footprint_mib: found 0.001; allowed on "),
        ({"benchmark": "stream_read", "footprint_mib": 1, "sms": 5}, "workload.sms: found 5; allowed on "),
        (
            {"benchmark": "stream_read", "footprint_mib": 0.25, "passes": 1},
            "workload.passes: found 1; allowed",
        ),
        ({"benchmark": "inflight", "inflight_kib": 0.01}, "workload.inflight_kib: found 0.01; allowed on "),
        ({"benchmark": "inflight", "inflight_kib": 1024}, "workload.inflight_kib: found 1024.0; allowed on "),
        ({"benchmark": "gather", "footprint_mib": 0.001, "run_bytes": 1024}, "workload.footprint_mib: found"),
        (
            {"benchmark": "block_table_chase", "footprint_mib": 0.0005, "run_bytes": 8},
            "workload.footprint_mib: found",
        ),
    ],
)
def test_what_the_machine_cannot_do_is_refused(machine: Hardware, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        result_of(machine, **keys)
    assert caught.value.problems[0].startswith(message)


@pytest.mark.parametrize("option", [{"fidelity": "sampled"}, {"verify": True}])
def test_options_without_a_meaning_are_refused(machine: Hardware, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="a microbenchmark"):
        simulate(machine, spec(benchmark="chase", footprint_mib=1), **option)


@pytest.fixture
def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    monkeypatch.chdir(tmp_path)

    def check(text: str) -> list[str]:
        (tmp_path / "m.yaml").write_text("kind: micro\n" + text)
        with pytest.raises(InputError) as caught:
            load_any_workload("m.yaml")
        return list(caught.value.problems)

    return check


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "benchmark: gather\nfootprint_mib: 64",
            "m.yaml:2:1: benchmark: found gather without run_bytes; allowed: both",
        ),
        (
            "benchmark: gather\nfootprint_mib: 64\nrun_bytes: 100",
            "m.yaml:4:1: run_bytes: found 100; allowed: a multiple of 8",
        ),
        (
            "benchmark: chase\nfootprint_mib: 64\npasses: 2",
            "m.yaml:4:1: passes: found with chase; allowed there: footprint_mib, l2_state",
        ),
        (
            "benchmark: inflight\ninflight_kib: 64\nl2_state: warm",
            "m.yaml:4:1: l2_state: found with inflight; allowed there: inflight_kib, sms",
        ),
        (
            "benchmark: chase\nfootprint_mib: 64\nmapping: {stages: 2}",
            "m.yaml:4:1: mapping: unknown key; allowed: name, description, kind, benchmark",
        ),
        (
            "benchmark: chaise\nfootprint_mib: 64",
            'm.yaml:2:1: benchmark: found "chaise"; allowed: one of chase',
        ),
        (
            "benchmark: chase\nfootprint_mib: -1",
            "m.yaml:3:1: footprint_mib: found -1; allowed: a number above 0",
        ),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_its_line(
    problems: Callable[[str], list[str]], text: str, message: str
) -> None:
    assert problems(text)[0].startswith(message)


def test_where_attention_is_needed_a_microbenchmark_is_refused() -> None:
    with pytest.raises(InputError, match=r"kind: found a microbenchmark; allowed here: kernel, step"):
        load_workload("micro_chase")
