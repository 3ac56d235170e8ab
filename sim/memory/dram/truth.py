"""Truth files of DRAM simulators: rows of `runs.csv` or `probes.csv` and the `configs.csv` beside them.

Each row names a stream and a configuration; nothing of its results enters the model's configuration.
"""

from pathlib import Path

from sim.errors import InputError
from sim.memory.dram.config import ControllerConfig
from sim.memory.dram.full_config import extra_problems, extra_timings
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.stream import Stream, StreamSpec, make_probe, make_stream
from sim.memory.dram.truth_cells import config_problems, refresh_problems, run_problems
from sim.memory.dram.truth_policies import POLICY_COLUMNS, is_modelled, policies_of
from sim.table_file import MOST_PROBLEMS, Row, read_rows

ID, CONFIG = "run_id", "config_id"
STREAM_COLUMNS = ("run_bytes", "interleave", "write_frac", "write_unit", "arrival", "load", "seed")
COMMON_COLUMNS = (ID, CONFIG, "mapping", "window", "n_req", "peak_GBps", "capacity_bytes", "bw_GBps")
TAIL_TICKS = {"bank_queues": 2000, "frfcfs": 0}  # that simulator's command counts run on after the end


def read_truth(path: Path) -> tuple[list[Row], dict[str, Row]]:
    """Truth rows, and the configurations of `configs.csv` beside them by id.

    Raises InputError with file, line and column of every bad cell (at most 20) of these rows and of the
    configurations that they name. Configurations of a simulator that is not modelled are not looked into.
    """
    rows = _read_runs(path)
    configs = _read_configs(path)
    by_id = {row.text(CONFIG): row for row in configs}
    problems = _again(rows, ID) + _again(configs, CONFIG)
    named = dict.fromkeys(row.text(CONFIG) for row in rows)
    bad_configs = {name: _config_problems(by_id[name]) for name in named if name in by_id}
    for row in rows:
        problems += _run_problems(row, by_id, bad_configs)
    problems += [problem for bad in bad_configs.values() for problem in bad]
    if problems:
        raise InputError(*problems[:MOST_PROBLEMS])
    return rows, by_id


def _read_runs(path: Path) -> list[Row]:
    rows = read_rows(path, COMMON_COLUMNS)
    return rows if "probe" in rows[0].cells else read_rows(path, COMMON_COLUMNS + STREAM_COLUMNS)


def _read_configs(runs: Path) -> list[Row]:
    path = runs.parent / "configs.csv"
    if not path.exists():
        needs = f"{runs}: {CONFIG} names rows of it, with the timings of the simulated controllers"
        raise InputError(f"{path}: no such file; expected beside {needs}")
    return read_rows(path, (CONFIG, *CONFIG_COLUMNS.values(), *_TEXT_COLUMNS, *POLICY_COLUMNS))


def _is_probe(row: Row) -> bool:
    return row.has("probe") or not all(column in row.cells for column in STREAM_COLUMNS)


def _again(rows: list[Row], key: str) -> list[str]:
    """Ids that stand in more than one row."""
    first: dict[str, str] = {}
    return [
        f"{row.where}: {key}: found {row.text(key)[:80]!r} again, first at {first[row.text(key)]}"
        for row in rows
        if first.setdefault(row.text(key), row.where) != row.where
    ]


def _run_problems(row: Row, by_id: dict[str, Row], bad_configs: dict[str, list[str]]) -> list[str]:
    name = row.text(CONFIG)
    if name not in by_id:
        unknown = row.problem(CONFIG, ", ".join(by_id)[:400])
        return [*run_problems(row, _is_probe(row), None), unknown]
    sound = is_modelled(by_id[name]) and not bad_configs[name]
    return run_problems(row, _is_probe(row), by_id[name] if sound else None)


def _config_problems(row: Row) -> list[str]:
    """Bad cells of a configuration; what is only not modelled is not among them."""
    if not is_modelled(row):
        return []
    problems = config_problems(row)
    try:
        extra_timings(row)
    except InputError as error:
        problems += error.problems
    if problems:
        return problems
    try:
        config = config_of(row)
    except InputError:
        return extra_problems(row)
    return extra_problems(row) + refresh_problems(row, config)


# Fields of ControllerConfig that are copied as they are, and their columns.
CONFIG_COLUMNS = {
    "tick_ps": "tick_ps",
    "access_bytes": "access_bytes",
    "sids": "sids",
    "bank_groups": "bank_groups",
    "banks_per_group": "banks_per_group",
    "burst": "burst_ticks",
    "cl": "CL",
    "cwl": "CWL",
    "rcd_rd": "tRCDRD",
    "rcd_wr": "tRCDWR",
    "rp": "tRP",
    "ras": "tRAS",
    "rc": "tRC",
    "ccd_s": "tCCD_S",
    "ccd_l": "tCCD_L",
    "rrd_s": "tRRD_S",
    "rrd_l": "tRRD_L",
    "faw": "tFAW",
    "rtp": "tRTP",
    "wr": "tWR",
    "rd_to_wr": "rd_to_wr",
    "wr_to_rd_s": "wr_to_rd_S",
    "wr_to_rd_l": "wr_to_rd_L",
    "rfc": "tRFC",
    "rfcpb": "tRFCpb",
    "refi": "tREFI",
    "refipb": "tREFIpb",
    "read_queue": "read_queue",
    "write_queue": "write_queue",
    "act_ticks": "act_cmd_ticks",
}
_TEXT_COLUMNS = ("pcs_per_channel", "ticks_per_tCK")


def config_of(row: Row) -> ControllerConfig:
    """The controller that one row of `configs.csv` describes. Raises InputError for what is not modelled."""
    policies = policies_of(row)
    clock_ticks = row.integer("ticks_per_tCK")
    extra = extra_timings(row)
    # tRREFD = max(3 clocks, 8 ns) where the file does not list it; precharges of HBM3 keep two clocks.
    default_rrefd = max(3 * clock_ticks, -(-8000 // row.integer("tick_ps")))
    try:
        return ControllerConfig(
            policy=policies.policy,
            pcs=1 if policies.policy == "bank_queues" else row.integer("pcs_per_channel"),
            ccd_r=row.integer("tCCD_R") if row.has("tCCD_R") else row.integer("tCCD_S"),
            bank_queue=row.integer("cmd_queue_per_bank") if row.has("cmd_queue_per_bank") else 8,
            half_clock=clock_ticks == 2,
            refresh=policies.refresh,
            rrefd=extra.get("nRREFD", default_rrefd),
            ppd=extra.get("nPPD", 2 * clock_ticks if clock_ticks == 2 else 0),
            row_hit_first=policies.row_hit_first,
            # DRAMsim3 lets a refresh follow an auto-precharge without counting tRC from the activate.
            rc_before_refresh=policies.policy != "bank_queues",
            page=policies.page,
            **{field: row.integer(column) for field, column in CONFIG_COLUMNS.items()},
        )
    except InputError as error:
        raise InputError(*(f"{row.where}: {problem}" for problem in error.problems)) from None


def stream_of(row: Row, mapping: AddressMapping) -> Stream:
    """Regenerate the stream of a row. Raises InputError if its digest is given and differs."""
    if _is_probe(row):
        stream = make_probe(row.text("probe"), row.integer("n_req"), mapping)
    else:
        stream = make_stream(
            StreamSpec(
                n_req=row.integer("n_req"),
                run_bytes=row.integer("run_bytes"),
                capacity_bytes=row.integer("capacity_bytes"),
                seed=row.integer("seed"),
                interleave=row.integer("interleave"),
                write_frac=row.number("write_frac"),
                write_unit=row.text("write_unit"),
                arrival=row.text("arrival"),
                load=row.number("load") if row.has("load") else 0.0,
                peak_gb_s=row.number("peak_GBps"),
            )
        )
    if row.has("stream_digest") and row.text("stream_digest") != stream.digest():
        raise InputError(row.problem("stream_digest", f"{stream.digest()}, as this row's parameters give it"))
    return stream
