"""Truth files of DRAM simulators: rows of `runs.csv` or `probes.csv` and the `configs.csv` beside them.

Each row names a stream and a configuration; nothing of its results enters the model's configuration.
"""

import json
from pathlib import Path

from sim.errors import InputError
from sim.memory.dram.config import ControllerConfig, Policy, Refresh
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.stream import Stream, StreamSpec, make_probe, make_stream
from sim.table_file import Row, read_rows

ID, CONFIG = "run_id", "config_id"
STREAM_COLUMNS = ("run_bytes", "interleave", "write_frac", "write_unit", "arrival", "load", "seed")
COMMON_COLUMNS = (ID, CONFIG, "mapping", "window", "n_req", "peak_GBps", "capacity_bytes", "bw_GBps")
POLICIES: dict[str, Policy] = {"dramsim3": "bank_queues", "ramulator2": "frfcfs"}
TAIL_TICKS = {"bank_queues": 2000, "frfcfs": 0}  # that simulator's command counts run on after the end


def read_truth(path: Path) -> tuple[list[Row], dict[str, Row]]:
    """Truth rows, and the configurations of `configs.csv` beside them by id."""
    rows = read_rows(path, COMMON_COLUMNS)
    if not rows[0].has("probe"):
        rows = read_rows(path, COMMON_COLUMNS + STREAM_COLUMNS)
    configs = read_rows(path.parent / "configs.csv", (CONFIG, *CONFIG_COLUMNS.values(), *_TEXT_COLUMNS))
    by_id = {row.text(CONFIG): row for row in configs}
    for row in rows:
        if row.text(CONFIG) not in by_id:
            raise InputError(
                f"{row.where}: {CONFIG}: found {row.text(CONFIG)[:80]!r}; allowed: {', '.join(by_id)}"
            )
    return rows, by_id


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
_TEXT_COLUMNS = ("simulator", "pcs_per_channel", "ticks_per_tCK", "refresh", "scheduler", "row_policy")


def config_of(row: Row) -> ControllerConfig:
    """The controller that one row of `configs.csv` describes. Raises InputError for what is not modelled."""
    simulator = row.text("simulator")
    if simulator not in POLICIES:
        raise InputError(f"{row.where}: simulator: found {simulator[:80]!r}; allowed {', '.join(POLICIES)}")
    policy = POLICIES[simulator]
    clock_ticks = row.integer("ticks_per_tCK")
    extra = _extra_timings(row)
    # tRREFD = max(3 clocks, 8 ns) where the file does not list it; precharges of HBM3 keep two clocks.
    default_rrefd = max(3 * clock_ticks, -(-8000 // row.integer("tick_ps")))
    return ControllerConfig(
        policy=policy,
        pcs=1 if policy == "bank_queues" else row.integer("pcs_per_channel"),
        ccd_r=row.integer("tCCD_R") if row.has("tCCD_R") else row.integer("tCCD_S"),
        bank_queue=row.integer("cmd_queue_per_bank") if row.has("cmd_queue_per_bank") else 8,
        half_clock=clock_ticks == 2,
        refresh=_refresh_of(row),
        rrefd=extra.get("nRREFD", default_rrefd),
        ppd=extra.get("nPPD", 2 * clock_ticks if clock_ticks == 2 else 0),
        row_hit_first="no row-hit protection" not in row.text("scheduler"),
        # DRAMsim3 lets a refresh follow an auto-precharge without counting tRC from the activate.
        rc_before_refresh=policy != "bank_queues",
        page="closed" if row.text("row_policy").startswith("closed") else "open",
        **{field: row.integer(column) for field, column in CONFIG_COLUMNS.items()},
    )


def _extra_timings(row: Row) -> dict[str, int]:
    """Timings that have no column of their own, from the simulator's full configuration."""
    if not row.has("full_config"):
        return {}
    try:
        timing = json.loads(row.text("full_config")).get("timing", {})
    except (json.JSONDecodeError, AttributeError):
        raise InputError(f"{row.where}: full_config: not a JSON object") from None
    return {key: int(timing[key]) for key in ("nRREFD", "nPPD") if key in timing}


def _refresh_of(row: Row) -> Refresh:
    text = row.text("refresh")
    if text.startswith("none"):
        return "none"
    if text.startswith("all-bank"):
        return "all_bank"
    if text.startswith("per-bank") and row.text("simulator") == "ramulator2":
        return "per_bank_sets" if "HBM3" in text else "per_bank"
    raise InputError(
        f"{row.where}: refresh: found {text[:80]!r}; allowed: none, all-bank, and for ramulator2 per-bank"
    )


def stream_of(row: Row, mapping: AddressMapping) -> Stream:
    """Regenerate the stream of a row. Raises InputError if its digest is given and differs."""
    if row.has("probe"):
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
        raise InputError(
            f"{row.where}: stream_digest: found {row.text('stream_digest')[:80]!r}; "
            f"this row's parameters give {stream.digest()}"
        )
    return stream
