"""What the cells of DRAM truth files may hold: from the definitions of the truth data, and from physics.

A cell outside is a malformed file. What is well formed but beyond the model (a policy, a device too large) is not
for this table: it raises where the model is built.
"""

from sim.errors import InputError
from sim.memory.dram.config import ControllerConfig
from sim.memory.dram.layout import MAX_BANK, MAX_PC
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.stream import ARRIVALS, PROBES, REQUEST_BYTES, WRITE_UNIT, WRITE_UNITS
from sim.table_cells import Range, Rule, choice_problems, range_problems, rule_problems
from sim.table_file import Row

REPORTED = {
    "bw_GBps": "GB/s",
    "bw_total_GBps": "GB/s",
    "lat_avg_ns": "ns",
    "lat_p50_ns": "ns",
    "lat_p95_ns": "ns",
    "lat_p99_ns": "ns",
    "ctl_lat_avg_ns": "ns",
    "ctl_lat_p99_ns": "ns",
    "act_per_request": "ACT/request",
}
"""Truth columns that are compared, and their units."""

MOST_REQUESTS = 2**24  # 0.3 kB each: 5 GB
MOST_CHANNEL_BITS = 10  # ch and pc: up to 3 MB a channel
MOST_TICKS = 10**6  # of a distance between commands: those of DRAM are tens to thousands
EXACT = 2**53  # whole numbers that the cells keep exactly

_RATE = Range(1e-6, 1e9, "a number")
_FIGURE = Range(0, 1e12, "a number", optional=True)
RUN_CELLS = {
    "n_req": Range(10, MOST_REQUESTS),  # bandwidth counts from the 10% to the 90% completion
    "window": Range(0, EXACT),
    "capacity_bytes": Range(REQUEST_BYTES, 2**50, "a power of two"),  # as mappings are bit fields
    "peak_GBps": Range(1, 1e6, "a number"),
    **{key: _FIGURE for key in REPORTED},
    "bw_GBps": _RATE,
    "offered_GBps": Range(_RATE.low, _RATE.high, "a number", optional=True),
    "stable": Range(0, 1, optional=True),
    "channels": Range(1, 2**MOST_CHANNEL_BITS, "a power of two", optional=True),
    "request_bytes": Range(REQUEST_BYTES, REQUEST_BYTES, optional=True),
}
STREAM_CELLS = {
    "run_bytes": Range(0, MOST_REQUESTS * REQUEST_BYTES),
    "interleave": Range(1, MOST_REQUESTS),
    "write_frac": Range(0, 1, "a number"),
    "load": Range(0, 100, "a number", optional=True),  # of the peak; above 1 the queue grows without limit
    "seed": Range(0, EXACT),
}
LEAST_LOAD = 1e-3  # below, a run is refreshes only
LEAST_WRITES = 1e-6  # keeps the period of blocks, K / write_frac, an exact number

STREAM_RULES = (
    Rule(
        "run_bytes",
        lambda r: (
            r.integer("run_bytes") % REQUEST_BYTES == 0
            and r.integer("run_bytes") <= r.integer("capacity_bytes")
        ),
        f"0 or a multiple of {REQUEST_BYTES}, up to capacity_bytes ({{capacity_bytes}})",
    ),
    Rule(
        "interleave",
        lambda r: r.integer("run_bytes") > 0 or r.integer("n_req") % r.integer("interleave") == 0,
        "a divisor of n_req ({n_req}) where run_bytes is 0",
    ),
    Rule(
        "interleave",
        lambda r: r.integer("interleave") * r.integer("run_bytes") <= MOST_REQUESTS * REQUEST_BYTES,
        f"groups of runs of up to {MOST_REQUESTS * REQUEST_BYTES} bytes (run_bytes is {{run_bytes}})",
    ),
    Rule(
        "load",
        lambda r: r.text("arrival") == "sat" or (r.has("load") and r.number("load") >= LEAST_LOAD),
        f"at least {LEAST_LOAD:g} where arrival is {{arrival}}",
    ),
    Rule(
        "write_frac",
        lambda r: r.number("write_frac") == 0 or r.number("write_frac") >= LEAST_WRITES,
        f"0, or at least {LEAST_WRITES:g}",
    ),
    Rule(
        "write_unit",
        lambda r: r.number("write_frac") == 0 or r.has("write_unit"),
        f"{WRITE_UNITS} where write_frac is {{write_frac}}",
    ),
)
# Bits that a mapping must have, for a probe to be the stream that its name says.
PROBE_BITS = {
    "hit": {"co": 2},
    "conflict": {"ro": 1},
    "bg_same": {"ba": 2, "co": 2},
    "bg_rr": {"bg": 2, "co": 2},
    "act_rr": {"bg": 2, "ba": 2},
    "act_rr2pc": {"bg": 2, "ba": 2, "pc": 1},
}
# What of a device each field of a mapping counts.
DEVICE_SIZES = {
    "pc": "pcs_per_channel",
    "si": "sids",
    "bg": "bank_groups",
    "ba": "banks_per_group",
    "ro": "rows",
    "co": "accesses_per_row",
}

_SIZE = Range(1, MAX_BANK, "a power of two")
_LIST = Range(1, 2**50, "a power of two", optional=True)
_TICKS = Range(1, MOST_TICKS)
_TICKS_OR_NONE = Range(0, MOST_TICKS)
_QUEUE = Range(1, 4096)
CONFIG_CELLS = {
    "tick_ps": Range(1, 100_000),
    "ticks_per_tCK": Range(1, 2),
    "access_bytes": Range(16, REQUEST_BYTES, "a power of two"),
    "pcs_per_channel": Range(1, MAX_PC, "a power of two"),
    **dict.fromkeys(("sids", "bank_groups", "banks_per_group"), _SIZE),
    **dict.fromkeys(("rows", "accesses_per_row"), _LIST),
    **dict.fromkeys(("burst_ticks", "act_cmd_ticks", "CL", "CWL", "tRCDRD", "tRCDWR"), _TICKS),
    **dict.fromkeys(("tRP", "tRAS", "tRC"), _TICKS),
    **dict.fromkeys(("tCCD_S", "tCCD_L", "tRRD_S", "tRRD_L", "tFAW", "tRTP", "tWR"), _TICKS_OR_NONE),
    **dict.fromkeys(("rd_to_wr", "wr_to_rd_S", "wr_to_rd_L", "tRFC", "tRFCpb"), _TICKS_OR_NONE),
    **dict.fromkeys(("tREFI", "tREFIpb"), Range(0, 10**9)),
    "tCCD_R": Range(0, MOST_TICKS, optional=True),
    **dict.fromkeys(("read_queue", "write_queue"), _QUEUE),
    "cmd_queue_per_bank": Range(1, 256, optional=True),
}
CONFIG_RULES = (
    Rule("tRAS", lambda r: r.integer("tRAS") <= r.integer("tRC"), "up to tRC ({tRC})"),
    # Distances to an activate count to the end of its command.
    Rule("act_cmd_ticks", lambda r: r.integer("act_cmd_ticks") <= r.integer("tRP"), "up to tRP ({tRP})"),
)


def run_problems(row: Row, probe: bool, config: Row | None) -> list[str]:
    """Bad cells of a row of `runs.csv`, or of `probes.csv` if `probe`, beside its configuration if that is sound."""
    ranges = RUN_CELLS if probe else RUN_CELLS | STREAM_CELLS
    problems = range_problems(row, ranges) + _text_problems(row, probe)
    if problems:
        return problems  # the rules compare cells that must be numbers
    rules = [] if probe else rule_problems(row, STREAM_RULES)
    return rules + _mapping_problems(row, PROBE_BITS[row.text("probe")] if probe else {}, config)


def _text_problems(row: Row, probe: bool) -> list[str]:
    problems = [] if row.has("run_id") else [row.problem("run_id", "a text")]
    problems += choice_problems(row, {"probe": PROBES} if probe else {"arrival": ARRIVALS})
    if not probe and row.has("write_unit") and not WRITE_UNIT.fullmatch(row.text("write_unit")):
        problems.append(row.problem("write_unit", WRITE_UNITS))
    try:
        AddressMapping.parse(row.text("mapping"), row.where)
    except InputError as error:
        problems += error.problems
    return problems


def _mapping_problems(row: Row, needed: dict[str, int], config: Row | None) -> list[str]:
    """Fields that do not fit the probe or the device; if all do, what is wrong with them together."""
    mapping = AddressMapping.parse(row.text("mapping"))
    problems = [
        row.problem("mapping", f"{field}: {bits} bits or more for the probe {row.text('probe')}")
        for field, bits in needed.items()
        if mapping.width(field) < bits
    ]
    if config is not None:
        problems += _device_problems(row, mapping, config)
    return problems or _address_problems(row, mapping)


def _device_problems(row: Row, mapping: AddressMapping, config: Row) -> list[str]:
    problems = [
        row.problem("mapping", f"{field}: up to {bits} bits, as {column} is {config.text(column)}")
        for field, column in DEVICE_SIZES.items()
        if config.has(column) and mapping.width(field) > (bits := _bits(config, column))
    ]
    offset = _bits(config, "access_bytes")
    if mapping.width("of") != offset:
        allowed = f"of: {offset} bits, as access_bytes is {config.text('access_bytes')}"
        problems.append(row.problem("mapping", allowed))
    return problems


def _address_problems(row: Row, mapping: AddressMapping) -> list[str]:
    """A mapping splits the whole address, and its channel bits number the channels."""
    problems = []
    bits = sum(width for _, width in mapping.fields)
    address_bits = _bits(row, "capacity_bytes")
    if bits != address_bits:
        allowed = f"{address_bits} bits in all, not {bits}, as capacity_bytes is {row.text('capacity_bytes')}"
        problems.append(row.problem("mapping", allowed))
    if mapping.width("ch") + mapping.width("pc") > MOST_CHANNEL_BITS:
        problems.append(row.problem("mapping", f"up to {MOST_CHANNEL_BITS} bits of ch and pc"))
    if row.has("channels") and row.integer("channels") != 1 << mapping.width("ch"):
        problems.append(row.problem("channels", f"{1 << mapping.width('ch')}, as ch of the mapping has it"))
    return problems


def _bits(row: Row, key: str) -> int:
    """Address bits that a power of two takes."""
    return row.integer(key).bit_length() - 1


def config_problems(row: Row) -> list[str]:
    """Bad number cells of a row of `configs.csv`."""
    return range_problems(row, CONFIG_CELLS) or rule_problems(row, CONFIG_RULES)


def refresh_problems(row: Row, config: ControllerConfig) -> list[str]:
    """Refreshes must leave half of the time to accesses: with less the controllers starve, with none they stop."""
    cycle = _row_cycle(config)
    if config.refresh == "all_bank":
        least = 2 * (config.rfc + cycle)
        allowed = f"at least {least} (twice tRFC and a row cycle), or refresh none"
        return [] if config.refi >= least else [row.problem("tREFI", allowed)]
    if config.refresh == "none":
        return []
    banks = config.banks if config.refresh == "per_bank" else config.banks_per_pc  # in turn
    least = max(cycle + config.rrefd, -(-2 * (config.rfcpb + cycle) // banks))
    allowed = f"at least {least} (a row cycle and tRREFD; for each bank twice tRFCpb and a row cycle)"
    return [] if config.refipb >= least else [row.problem("tREFIpb", allowed)]


def _row_cycle(c: ControllerConfig) -> int:
    """From an activate to the next of the same bank, with one access between."""
    write = c.rcd_wr + c.cwl + c.burst + c.wr + c.rp
    return max(c.rc, write, c.rcd_rd + c.rtp + c.rp)
