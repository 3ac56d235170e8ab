"""Truth files of DRAM simulators: rows of `runs.csv` or `probes.csv` and the `configs.csv` beside them.

Each row names a stream and a configuration; nothing of its results enters the model's configuration.
"""

from pathlib import Path

from sim.errors import InputError
from sim.memory.dram.config import ControllerConfig
from sim.memory.dram.full_config import extra_timings
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.stream import Stream, StreamSpec, make_probe, make_stream
from sim.memory.dram.truth_policies import POLICY_COLUMNS, policies_of
from sim.table_file import Row, read_rows

ID, CONFIG = "run_id", "config_id"
STREAM_COLUMNS = ("run_bytes", "interleave", "write_frac", "write_unit", "arrival", "load", "seed")
COMMON_COLUMNS = (ID, CONFIG, "mapping", "window", "n_req", "peak_GBps", "capacity_bytes", "bw_GBps")
TAIL_TICKS = {"bank_queues": 2000, "frfcfs": 0}  # that simulator's command counts run on after the end


def read_truth(path: Path) -> tuple[list[Row], dict[str, Row]]:
    """Truth rows, and the configurations of `configs.csv` beside them by id."""
    rows = read_rows(path, COMMON_COLUMNS)
    if not rows[0].has("probe"):
        rows = read_rows(path, COMMON_COLUMNS + STREAM_COLUMNS)
    configs = read_rows(
        path.parent / "configs.csv", (CONFIG, *CONFIG_COLUMNS.values(), *_TEXT_COLUMNS, *POLICY_COLUMNS)
    )
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
        raise InputError(row.problem("stream_digest", f"{stream.digest()}, as this row's parameters give it"))
    return stream
