"""What a sound run must look like: bounds per row, and shapes that rows must have together.

A flag does not say that a value is wrong, it says that somebody must look before the value is used. Bounds
are physics where there is some (peak bandwidth, banks), published ranges of Ampere and Hopper otherwise.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gpu_harness.rows import Record


@dataclass(frozen=True)
class Peaks:
    """Datasheet numbers of a part: HBM GB/s, dense bf16 TFLOP/s, L2 MiB."""

    hbm_gb_s: float
    bf16_tflops: float
    l2_mib: float


# Datasheets (SXM parts where there are several).
PEAKS = (
    ("H200", Peaks(4800, 989.4, 60)),
    ("H100 PCIe", Peaks(2039, 756.5, 50)),
    ("H100", Peaks(3350, 989.4, 50)),
    ("A100-SXM4-80GB", Peaks(2039, 312, 40)),
    ("A100", Peaks(1555, 312, 40)),
    ("B200", Peaks(8000, 2250, 126)),
)


def peaks_of(device: str) -> Peaks | None:
    """The part's numbers by a piece of its name, None for a part that is not listed."""
    return next((peaks for piece, peaks in PEAKS if piece in device), None)


@dataclass(frozen=True)
class Bound:
    """Rows of `measurement` for which `applies` holds lie in [low, high]."""

    measurement: str
    applies: Callable[[Record], bool]
    low: float
    high: float
    why: str


def num(row: Record, key: str) -> float:
    """A cell as a number, 0 where it is empty."""
    value = row.get(key, "")
    return float(value) if value != "" else 0.0


MIB = 1024 * 1024

# The first bound that applies to a row judges it.
BOUNDS = (
    Bound("launch", lambda r: r["variant"] != "host time per launch", 0.2, 30, "a launch costs microseconds"),
    Bound(
        "exp_rate",
        lambda r: "f32" in str(r["method"]),
        12,
        16.5,
        "16 per clock and SM on all parts since Volta",
    ),
    Bound("exp_rate", lambda r: "f16x2" in str(r["method"]), 12, 34, "16 or 32 halves per clock and SM"),
    Bound("unpack_rate", lambda r: r["method"] == "fold only", 100, 520, "the loop around the converters"),
    Bound("unpack_rate", lambda r: r["method"] == "convert", 8, 140, "conversions run at 16 to 64 per clock"),
    Bound(
        "unpack_rate",
        lambda r: r["method"] == "lop3" and r["kv_dtype"] == "fp8_e4m3",
        20,
        130,
        "shifts, masks and a product for two values",
    ),
    Bound(
        "unpack_rate", lambda r: r["method"] != "convert", 40, 520, "two or three instructions per two values"
    ),
    Bound(
        "overlap", lambda r: True, 4, 100, "8 products of 4,096 operations at up to 4,096 a clock and more"
    ),
    Bound("shared_memory", lambda r: "16 B" in str(r["method"]), 90, 129, "32 banks of 4 bytes"),
    Bound("shared_memory", lambda r: True, 3, 129, "32 banks of 4 bytes"),
    Bound(
        "pointer_chase",
        lambda r: r["unit"] == "cycles" and r["method"] == "ld.ca" and num(r, "footprint_bytes") <= 64 * 1024,
        20,
        60,
        "L1 hit: 30 to 41 cycles are published",
    ),
    Bound(
        "pointer_chase",
        lambda r: (
            r["unit"] == "cycles" and r["l2_state"] == "warm" and MIB <= num(r, "footprint_bytes") <= 16 * MIB
        ),
        150,
        450,
        "L2 hit: 200 to 300 cycles near are published",
    ),
    Bound(
        "pointer_chase",
        lambda r: (
            r["unit"] == "cycles" and r["l2_state"] == "cold" and num(r, "footprint_bytes") >= 256 * MIB
        ),
        400,
        2500,
        "HBM: 480 to 850 cycles are published, more where TLBs miss",
    ),
    Bound("l2_hit_by_sm", lambda r: True, 120, 800, "a round trip to an L2 slice"),
    Bound("single_load", lambda r: True, 120, 2500, "a round trip to an L2 slice or to HBM"),
    Bound(
        "block_table_pair", lambda r: r["unit"] == "cycles", 300, 5000, "two dependent loads, L2 hits at best"
    ),
)


def peak_flag(row: Record, peaks: Peaks) -> str:
    """Why the row beats the part's peak, empty when it does not."""
    if row.get("unit") == "GB/s" and num(row, "value") > peaks.hbm_gb_s:
        cold = row.get("l2_state") == "cold" or num(row, "footprint_bytes") > 8 * peaks.l2_mib * MIB
        return f"above the HBM peak of {peaks.hbm_gb_s:.0f} GB/s" if cold else ""
    if row.get("unit") == "TFLOP/s" and num(row, "value") > peaks.bf16_tflops:
        return f"above the peak of {peaks.bf16_tflops:.0f} TFLOP/s"
    if row.get("measurement") in ("decode_attention", "decode_layout"):
        resident = peaks.l2_mib * MIB if row.get("l2_state") == "warm" else 0.0
        bound_us = max(0.0, kv_bytes(row) - resident) / peaks.hbm_gb_s / 1e3
        return f"faster than its bytes at peak ({bound_us:.1f} us)" if num(row, "value") < bound_us else ""
    if row.get("measurement") == "prefill_attention":
        bound_us = prefill_flops(row) / peaks.bf16_tflops / 1e6
        return (
            f"faster than its operations at peak ({bound_us:.1f} us)" if num(row, "value") < bound_us else ""
        )
    return ""


BITS = {"bf16": 16, "fp16": 16, "fp8_e4m3": 8, "int8": 8, "int4": 4}


def kv_bytes(row: Record) -> float:
    """Bytes of K and V that a decode row must read, scales left out."""
    tokens = num(row, "batch") * num(row, "context")
    return 2 * tokens * num(row, "kv_heads") * num(row, "head_dim") * BITS[str(row["kv_dtype"])] / 8


def prefill_flops(row: Record) -> float:
    """Operations of both products; causal rows do half of the square and the diagonal."""
    n = num(row, "q_len")
    pairs = n * (n + 1) / 2 if str(row["causal"]).lower() == "true" else n * n
    return 4 * num(row, "batch") * num(row, "q_heads") * num(row, "head_dim") * pairs


def flag_of(row: Record, peaks: Peaks | None) -> str:
    """What is odd about one measured row, empty when nothing is."""
    if row.get("check") == "skipped" or "value" not in row:
        return ""
    if row.get("check") != "ok":
        return "its correctness check failed"
    for bound in BOUNDS:
        if bound.measurement == row["measurement"] and bound.applies(row):
            if not bound.low <= num(row, "value") <= bound.high:
                return f"outside [{bound.low:g}, {bound.high:g}] {row['unit']}: {bound.why}"
            break
    return peak_flag(row, peaks) if peaks else ""


@dataclass(frozen=True)
class Claim:
    """A relation between rows: what is expected, what was seen, whether it holds."""

    claim: str
    expected: str
    seen: str
    ok: bool


def values(rows: Iterable[Record], measurement: str, **where: str) -> list[Record]:
    """Rows that passed their check, of one measurement, with these cells."""
    return [
        row
        for row in rows
        if row["measurement"] == measurement
        and row.get("check") == "ok"
        and all(str(row.get(key, "")) == value for key, value in where.items())
    ]


def median(numbers: list[float]) -> float:
    ordered = sorted(numbers)
    return ordered[len(ordered) // 2] if len(ordered) % 2 else sum(ordered[len(ordered) // 2 - 1 :][:2]) / 2
