"""Malformed truth files of DRAM simulators are refused, cell by cell, before anything runs."""

import csv
import json
from pathlib import Path

import pytest

from sim.cli.endings import exit_code_of
from sim.cli.main import pagewalk
from sim.errors import InputError
from sim.memory.dram.truth import CONFIG_COLUMNS, config_of, read_truth
from sim.memory.dram.truth_cells import CONFIG_CELLS
from sim.memory.dram.truth_policies import REFRESH, ROW_POLICY, SCHEDULER, WRITE_POLICY
from sim.memory.dram.validate import validate_dram

Cells = dict[str, str]

COMMON = {
    "run_id": "D0",
    "config_id": "device",
    "channels": "1",
    "mapping": "of6.co5.ba2.bg2.ro15",
    "window": "0",
    "n_req": "64",
    "peak_GBps": "32.0",
    "capacity_bytes": "1073741824",
    "bw_GBps": "9.6",
    "offered_GBps": "9.7",
    "lat_avg_ns": "40.5",
    "stable": "1",
}
RUN = COMMON | {
    "run_bytes": "256",
    "interleave": "1",
    "write_frac": "0.1",
    "write_unit": "request",
    "arrival": "poisson",
    "load": "0.3",
    "seed": "1000",
}
PROBE = COMMON | {"probe": "hit"}
# HBM2 as DRAMsim3 has it, and as Ramulator has it, of the shared truth set.
DRAMSIM3 = {
    **{"config_id": "device", "simulator": "dramsim3", "tick_ps": "1000", "ticks_per_tCK": "1"},
    **{"access_bytes": "64", "pcs_per_channel": "1", "burst_ticks": "2", "sids": "1", "bank_groups": "4"},
    **{"banks_per_group": "4", "rows": "32768", "accesses_per_row": "32", "CL": "14", "CWL": "4"},
    **{"tRCDRD": "14", "tRCDWR": "14", "tRP": "14", "tRAS": "34", "tRC": "48", "tCCD_S": "2", "tCCD_L": "2"},
    **{"tCCD_R": "", "tRRD_S": "4", "tRRD_L": "6", "tFAW": "30", "tRTP": "5", "tWR": "16", "rd_to_wr": "14"},
    **{"wr_to_rd_S": "12", "wr_to_rd_L": "14", "tRFC": "260", "tRFCpb": "20", "tREFI": "3900"},
    **{"tREFIpb": "128", "act_cmd_ticks": "1", "read_queue": "32", "write_queue": "32"},
    **{"cmd_queue_per_bank": "8", "refresh": "all-bank per rank", "row_policy": "open page"},
    **{"scheduler": next(iter(SCHEDULER["dramsim3"])), "write_policy": next(iter(WRITE_POLICY["dramsim3"]))},
    "full_config": '{"protocol": "HBM"}',
}
RAMULATOR = DRAMSIM3 | {
    **{"simulator": "ramulator2", "access_bytes": "32", "pcs_per_channel": "2", "refresh": "per-bank"},
    **{"tRFCpb": "160", "tREFIpb": "122", "act_cmd_ticks": "2", "cmd_queue_per_bank": ""},
    **{"scheduler": next(iter(SCHEDULER["ramulator2"]))},
    **{"write_policy": next(iter(WRITE_POLICY["ramulator2"]))},
    "full_config": json.dumps({"timing": {"nRREFD": 8, "nPPD": 0}}),
}
PAIRED = {"mapping": "of5.co5.pc1.bg2.ba2.ro15"}  # of 32-byte accesses in two pseudo-channels


def written(folder: Path, rows: list[Cells], configs: list[Cells]) -> Path:
    for name, table in (("runs.csv", rows), ("configs.csv", configs)):
        with (folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    return folder / "runs.csv"


def refused(folder: Path, row: Cells, config: Cells) -> list[str]:
    """What a validation says of these two rows, without the folder."""
    with pytest.raises(InputError) as error:
        validate_dram(written(folder, [row], [config]))
    return [problem.removeprefix(f"{folder}/") for problem in error.value.problems]


def test_runs_without_their_configurations_are_told_what_is_missing(tmp_path: Path) -> None:
    runs = written(tmp_path, [RUN], [DRAMSIM3])
    (tmp_path / "configs.csv").unlink()
    with pytest.raises(
        InputError, match=r"configs\.csv: no such file; expected beside .*runs\.csv: config_id names"
    ):
        validate_dram(runs)


def whole(low: int, high: int) -> str:
    return f"a whole number from {low} to {high}"


def power(low: int, high: int) -> str:
    return f"a power of two from {low} to {high}"


GIB, SHARE, TICKS = 2**30, "a number from 0 to 1", whole(1, 10**6)
RATE, TICKS_OR_NONE = "a number from 1e-06 to 1000000000", whole(0, 10**6)
BITS = "30 bits in all, not {}, as capacity_bytes is 1073741824"
UNITS = "request, run, blockK with K from 1 to 999999999"
RUNS = [
    *(("n_req", cell, whole(10, 2**24)) for cell in ("0", "-5", "9", "1.5", "1e12", "nan", "")),
    *(("run_bytes", cell, whole(0, GIB)) for cell in ("-64", "1e12")),
    *(("run_bytes", cell, f"0 or a multiple of 64, up to capacity_bytes ({GIB})") for cell in ("32", "96")),
    *(("capacity_bytes", cell, power(64, 2**50)) for cell in ("0", "32", "-1", "1e30", "3221225472")),
    *(("interleave", cell, whole(1, 2**24)) for cell in ("0", "-2")),
    ("interleave", "4194305", "groups of runs of up to 1073741824 bytes (run_bytes is 256)"),
    *(("write_frac", cell, SHARE) for cell in ("1.5", "-0.5", "30", "x")),
    ("write_frac", "1e-9", "0, or at least 1e-06"),
    *(("write_unit", cell, UNITS) for cell in ("block0", "block", "blockx", "block²", "purple")),
    ("write_unit", "", f"{UNITS} where write_frac is 0.1"),
    ("arrival", "uniform", "sat, poisson, burst, even"),
    *(("load", cell, "a number from 0 to 100") for cell in ("-1", "inf")),
    *(("load", cell, "at least 0.001 where arrival is poisson") for cell in ("0", "", "1e-9")),
    *(("seed", cell, whole(0, 2**53)) for cell in ("-1", "0.5")),
    ("window", "-1", whole(0, 2**53)),
    ("peak_GBps", "0", "a number from 1 to 1000000"),
    *(("bw_GBps", cell, RATE) for cell in ("0", "-3", "", "abc")),
    ("offered_GBps", "0", RATE),
    ("lat_avg_ns", "zz", "a number from 0 to 1000000000000"),
    ("stable", "x", whole(0, 1)),
    ("channels", "2", "1, as ch of the mapping has it"),
    ("run_id", "", "a text"),
    ("config_id", "nothing", "device"),
    ("mapping", "of6", BITS.format(6)),
    ("mapping", "of6.co5.ba2.bg2.ro0", BITS.format(15)),
    ("mapping", "of6.co5.ba2.bg2.ro99", "ro: up to 15 bits, as rows is 32768"),
    ("mapping", "of6.co5.ba3.bg2.ro14", "ba: up to 2 bits, as banks_per_group is 4"),
    ("mapping", "of6.pc1.co5.ba2.bg2.ro14", "pc: up to 0 bits, as pcs_per_channel is 1"),
    ("mapping", "of6.co4.ba2.bg2.ro16", "ro: up to 15 bits, as rows is 32768"),
    ("mapping", "of7.co4.ba2.bg2.ro15", "of: 6 bits, as access_bytes is 64"),
]


@pytest.mark.parametrize(("column", "cell", "allowed"), RUNS)
def test_a_bad_cell_of_a_run_is_named_with_what_is_allowed(
    tmp_path: Path, column: str, cell: str, allowed: str
) -> None:
    problems = refused(tmp_path, RUN | {column: cell}, DRAMSIM3)
    assert problems == [f"runs.csv:2: {column}: found {cell!r}; allowed: {allowed}"]


def test_many_channels_are_refused_before_they_take_the_memory(tmp_path: Path) -> None:
    many = {"mapping": "of6.ch20.co5.ba2.bg2.ro15", "capacity_bytes": str(2**50), "channels": ""}
    problems = refused(tmp_path, RUN | many, DRAMSIM3)
    assert problems == [
        f"runs.csv:2: mapping: found {many['mapping']!r}; allowed: up to 10 bits of ch and pc"
    ]


def test_without_runs_requests_are_dealt_in_whole_groups(tmp_path: Path) -> None:
    problems = refused(tmp_path, RUN | {"run_bytes": "0", "interleave": "3", "arrival": "burst"}, DRAMSIM3)
    assert problems == [
        "runs.csv:2: interleave: found '3'; allowed: a divisor of n_req (64) where run_bytes is 0"
    ]


PROBES = [
    ("probe", "zig", "hit, conflict, bg_same, bg_rr, act_rr, act_rr2pc"),
    ("probe", "", "hit, conflict, bg_same, bg_rr, act_rr, act_rr2pc"),
    ("n_req", "0", whole(10, 2**24)),
    ("mapping", "of6.ch1.co5.ba2.bg1.ro15", "bg: 2 bits or more for the probe bg_rr"),
]


@pytest.mark.parametrize(("column", "cell", "allowed"), PROBES)
def test_a_bad_cell_of_a_probe_is_named_with_what_is_allowed(
    tmp_path: Path, column: str, cell: str, allowed: str
) -> None:
    problems = refused(tmp_path, PROBE | {"probe": "bg_rr"} | {column: cell}, DRAMSIM3)
    assert problems == [f"runs.csv:2: {column}: found {cell!r}; allowed: {allowed}"]


QUEUE, OBJECT = whole(1, 4096), "a JSON object, whose timing is an object"
# A row cycle is 50 ticks (tRCDWR 14, CWL 4, burst 2, tWR 16, tRP 14); twice that and tRFC 260 is 620.
REFRESHES = "at least 620 (twice tRFC and a row cycle), or refresh none"
CONFIGS = [
    *(("tick_ps", cell, whole(1, 100_000)) for cell in ("0", "-5", "", "1.5")),
    *(("ticks_per_tCK", cell, whole(1, 2)) for cell in ("0", "5")),
    *(("access_bytes", cell, power(16, 64)) for cell in ("0", "48", "128")),
    *(("pcs_per_channel", cell, power(1, 4)) for cell in ("0", "3", "8")),
    *((column, cell, power(1, 128)) for column in ("sids", "bank_groups") for cell in ("0", "3")),
    *(("burst_ticks", cell, TICKS) for cell in ("0", "-1")),
    *((column, "-4", TICKS) for column in ("CL", "CWL", "tRCDRD", "tRCDWR", "tRP", "tRC")),
    *((column, "-1", TICKS_OR_NONE) for column in ("tFAW", "tCCD_S", "tRRD_L", "tRTP", "tRFC", "tCCD_R")),
    ("tFAW", "1e9", TICKS_OR_NONE),
    ("tRAS", "49", "up to tRC (48)"),
    ("act_cmd_ticks", "15", "up to tRP (14)"),
    ("tREFI", "-7", whole(0, 10**9)),
    *(("tREFI", cell, REFRESHES) for cell in ("0", "10", "260", "619")),
    *(("read_queue", cell, QUEUE) for cell in ("0", "-1")),
    *(("write_queue", cell, QUEUE) for cell in ("0", "1e9")),
    *(("cmd_queue_per_bank", cell, whole(1, 256)) for cell in ("0", "x")),
    *(("full_config", cell, OBJECT) for cell in ("{bad", "[1]", '{"timing": [1]}', "[" * 9)),
]


@pytest.mark.parametrize(("column", "cell", "allowed"), CONFIGS)
def test_a_bad_cell_of_a_configuration_is_named_with_what_is_allowed(
    tmp_path: Path, column: str, cell: str, allowed: str
) -> None:
    problems = refused(tmp_path, RUN, DRAMSIM3 | {column: cell})
    assert problems == [f"configs.csv:2: {column}: found {cell!r}; allowed: {allowed}"]


def test_a_refresh_longer_than_its_interval_is_refused(tmp_path: Path) -> None:
    problems = refused(tmp_path, RUN, DRAMSIM3 | {"tRFC": "5000"})
    assert problems == [f"configs.csv:2: tREFI: found '3900'; allowed: {REFRESHES.replace('620', '10100')}"]


def test_refreshes_of_banks_leave_room_for_accesses(tmp_path: Path) -> None:
    # A row cycle of 50 ticks and nRREFD of 8; all 32 banks in turn are satisfied with less, 2 x 210 / 32.
    allowed = "at least 58 (a row cycle and tRREFD; for each bank twice tRFCpb and a row cycle)"
    problems = refused(tmp_path, RUN | PAIRED, RAMULATOR | {"tREFIpb": "57"})
    assert problems == [f"configs.csv:2: tREFIpb: found '57'; allowed: {allowed}"]


TIMINGS = [
    ("nRREFD", "x", TICKS_OR_NONE),
    ("nRREFD", True, TICKS_OR_NONE),
    ("nRREFD", 1.5, TICKS_OR_NONE),
    ("nPPD", -1, TICKS_OR_NONE),
    ("nPPD", 49, "up to tRC (48)"),
]


@pytest.mark.parametrize(("key", "value", "allowed"), TIMINGS)
def test_a_bad_timing_of_the_full_configuration_is_named(
    tmp_path: Path, key: str, value: object, allowed: str
) -> None:
    full = json.dumps({"timing": {key: value}})
    problems = refused(tmp_path, RUN | PAIRED, RAMULATOR | {"full_config": full})
    assert problems == [f"configs.csv:2: full_config: timing.{key}: found '{value}'; allowed: {allowed}"]


POLICIES = [
    (config, column, cell, " | ".join(known[config["simulator"]]))
    for config in (DRAMSIM3, RAMULATOR)
    for column, cell, known in (
        ("refresh", "none of your business", REFRESH),
        ("row_policy", "adaptive", ROW_POLICY),
        ("row_policy", "purple", ROW_POLICY),
        ("scheduler", "FCFS", SCHEDULER),
        ("write_policy", "never", WRITE_POLICY),
    )
]


@pytest.mark.parametrize(("config", "column", "cell", "allowed"), POLICIES)
def test_the_text_of_a_policy_that_is_not_modelled_is_never_taken_for_another(
    tmp_path: Path, config: Cells, column: str, cell: str, allowed: str
) -> None:
    row = RUN | (PAIRED if config is RAMULATOR else {})
    problems = refused(tmp_path, row, config | {column: cell})
    assert problems == [f"configs.csv:2: {column}: found {cell!r}; allowed: {allowed}"]


def test_a_device_too_large_for_the_controller_is_told_with_its_place(tmp_path: Path) -> None:
    assert refused(tmp_path, RUN, DRAMSIM3 | {"CL": "600", "banks_per_group": "64"}) == [
        "configs.csv:2: banks: found 256 in 1 pseudo-channels; allowed: up to 128 in up to 4",
        "configs.csv:2: CL + burst: found 602 ticks; allowed: up to 510",
    ]


def test_all_bad_cells_of_both_files_are_told_at_once(tmp_path: Path) -> None:
    rows = [RUN | {"n_req": "0", "arrival": "x"}, RUN | {"run_id": "D1"}, RUN | {"seed": "-1"}]
    path = written(tmp_path, rows, [DRAMSIM3 | {"CL": "0", "full_config": "?"}])
    with pytest.raises(InputError) as error:
        read_truth(path)
    told = [problem.removeprefix(f"{tmp_path}/").split(": ") for problem in error.value.problems]
    assert [": ".join(parts[:2]) for parts in told] == [
        "runs.csv:4: run_id",  # again
        "runs.csv:2: n_req",
        "runs.csv:2: arrival",
        "runs.csv:4: seed",
        "configs.csv:2: CL",
        "configs.csv:2: full_config",
    ]


def test_no_more_than_twenty_bad_cells_are_told(tmp_path: Path) -> None:
    rows = [RUN | {"run_id": f"D{i}", "n_req": "0"} for i in range(30)]
    with pytest.raises(InputError) as error:
        read_truth(written(tmp_path, rows, [DRAMSIM3]))
    assert len(error.value.problems) == 20


def test_configurations_that_no_row_names_may_be_anything(tmp_path: Path) -> None:
    rows, _ = read_truth(written(tmp_path, [RUN], [DRAMSIM3, {**DRAMSIM3, "config_id": "other", "CL": "x"}]))
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("row", "config"),
    [
        (RUN, DRAMSIM3 | {"tREFI": "620"}),
        (RUN, DRAMSIM3 | {"tREFI": "0", "refresh": "none", "read_queue": "1", "write_queue": "1"}),
        (RUN | PAIRED, RAMULATOR | {"tREFIpb": "58"}),
        (RUN | PAIRED | {"write_frac": "0", "write_unit": "", "load": "100"}, RAMULATOR),
    ],
)
def test_cells_at_their_limits_run_to_the_end(tmp_path: Path, row: Cells, config: Cells) -> None:
    result = validate_dram(written(tmp_path, [row], [config]))
    assert all(p.predicted > 0 for p in result.predictions)


def test_the_command_ends_with_two_and_nothing_on_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, [RUN | {"n_req": "0"}], [DRAMSIM3 | {"tREFI": "0"}])
    assert exit_code_of(pagewalk, ["validate", "dram", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("found '0'; allowed: ") == 2
    assert "Traceback" not in captured.err


def test_every_number_of_a_configuration_has_a_range() -> None:
    assert set(CONFIG_COLUMNS.values()) <= set(CONFIG_CELLS)


@pytest.mark.parametrize("name", ["runs.csv", "probes.csv"])
def test_every_row_of_the_shared_truth_is_sound_and_modelled(shared: Path, name: str) -> None:
    rows, configs = read_truth(shared / "validation" / "dram" / name)
    for config_id in {row.text("config_id") for row in rows}:
        config_of(configs[config_id])
