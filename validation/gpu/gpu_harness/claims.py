"""Shapes that rows must have together: plateaus, monotony, ratios. Written to plausibility.csv after the run.

A claim whose rows are missing is left out.
"""

from itertools import pairwise

from gpu_harness.plausibility import MIB, Claim, Peaks, kv_bytes, median, num, values
from gpu_harness.rows import Record


def claims_about(rows: list[Record], peaks: Peaks | None) -> list[Claim]:
    """Every claim whose rows are there."""
    found = [
        latency_rises_by_level(rows),
        far_is_slower_than_near(rows),
        tlb_misses_only_add(rows),
        stream_reaches_its_share(rows, peaks),
        warm_beats_cold_when_it_fits(rows),
        littles_law(rows),
        longer_runs_are_not_slower(rows),
        prefetched_entries_are_not_slower(rows),
        bit_tricks_beat_conversion(rows),
        full_bank_conflict_is_32_fold(rows),
        graph_launch_is_not_dearer(rows),
        cold_decode_is_not_faster(rows),
        decode_approaches_bandwidth(rows, peaks),
    ]
    return [claim for claim in found if claim is not None]


def latency_rises_by_level(rows: list[Record]) -> Claim | None:
    cycles = values(rows, "pointer_chase", unit="cycles")
    l1 = [num(r, "value") for r in cycles if r["method"] == "ld.ca" and num(r, "footprint_bytes") <= MIB / 16]
    l2 = [
        num(r, "value")
        for r in cycles
        if r["method"] == "ld.cg" and r["l2_state"] == "warm" and MIB <= num(r, "footprint_bytes") <= 16 * MIB
    ]
    hbm = [
        num(r, "value") for r in cycles if r["l2_state"] == "cold" and num(r, "footprint_bytes") >= 256 * MIB
    ]
    if not (l1 and l2 and hbm):
        return None
    a, b, c = median(l1), median(l2), median(hbm)
    return Claim(
        "latency: L1 < L2 < HBM",
        "each at least 1.5x",
        f"{a:.0f}, {b:.0f}, {c:.0f} cycles",
        1.5 * a < b and 1.5 * b < c,
    )


def far_is_slower_than_near(rows: list[Record]) -> Claim | None:
    near = [num(r, "value") for r in values(rows, "l2_hit_by_sm", variant="below largest gap")]
    far = [num(r, "value") for r in values(rows, "l2_hit_by_sm", variant="above largest gap")]
    if not (near and far):
        return None
    a, b = median(near), median(far)
    return Claim(
        "L2 far lines answer later than near ones",
        "5 to 400 cycles",
        f"{a:.0f} and {b:.0f}",
        5 <= b - a <= 400,
    )


def tlb_misses_only_add(rows: list[Record]) -> Claim | None:
    chase = sorted(
        values(rows, "tlb_reach", unit="cycles", stride_bytes=str(2 * MIB)),
        key=lambda r: num(r, "footprint_bytes"),
    )
    if len(chase) < 3:
        return None
    cycles = [num(r, "value") for r in chase]
    return Claim(
        "latency does not fall as pages are added", "each within 10% of the largest before",
        " ".join(f"{c:.0f}" for c in cycles),
        all(later >= 0.9 * max(cycles[: i + 1]) for i, later in enumerate(cycles[1:])),
    )  # fmt: skip


def stream_reaches_its_share(rows: list[Record], peaks: Peaks | None) -> Claim | None:
    large = [
        num(r, "value")
        for r in values(rows, "stream", variant="read")
        if num(r, "footprint_bytes") >= 1024 * MIB
    ]
    if not large or peaks is None:
        return None
    share = max(large) / peaks.hbm_gb_s
    return Claim(
        "read bandwidth of 1 GiB and more", "0.75 to 1.0 of peak", f"{share:.3f}", 0.75 <= share <= 1.0
    )


def warm_beats_cold_when_it_fits(rows: list[Record]) -> Claim | None:
    small = [
        r for r in values(rows, "stream", variant="read") if 8 * MIB <= num(r, "footprint_bytes") <= 16 * MIB
    ]
    warm = [num(r, "value") for r in small if r["l2_state"] == "warm"]
    cold = [num(r, "value") for r in small if r["l2_state"] == "cold"]
    if not (warm and cold):
        return None
    ratio = median(warm) / median(cold)
    return Claim("8 to 16 MiB: warm over cold read bandwidth", "above 1.3", f"{ratio:.2f}", ratio > 1.3)


def littles_law(rows: list[Record]) -> Claim | None:
    """With few bytes in flight the bandwidth is bytes in flight over latency."""
    sms = values(rows, "device_property", variant="multiprocessors")
    few = [
        num(r, "inflight_bytes_per_sm") / num(r, "value") * num(sms[0], "value")
        for r in values(rows, "inflight", method="plain")
        if sms and 1024 <= num(r, "inflight_bytes_per_sm") <= 4096
    ]
    if not few:
        return None
    return Claim(
        "latency implied by 1 to 4 KiB in flight per SM",
        "350 to 2000 ns",
        f"{median(few):.0f} ns",
        350 <= median(few) <= 2000,
    )


def longer_runs_are_not_slower(rows: list[Record]) -> Claim | None:
    worst, where = 1.0, ""
    for method in ("plain", "cp.async", "bulk"):
        found = sorted(
            values(rows, "gather", method=method, l2_state="cold"), key=lambda r: num(r, "run_bytes")
        )
        for shorter, longer in pairwise(found):
            ratio = num(longer, "value") / num(shorter, "value")
            if ratio < worst:
                worst, where = ratio, f"{method} at {longer['run_bytes']} B"
    if not values(rows, "gather", l2_state="cold"):
        return None
    return Claim(
        "gather bandwidth does not fall with run length",
        "at least 0.9 per doubling",
        f"{worst:.2f} {where}".strip(),
        worst >= 0.9,
    )


def prefetched_entries_are_not_slower(rows: list[Record]) -> Claim | None:
    same = ("run_bytes", "ctas_per_sm")
    exposed = {
        tuple(num(r, key) for key in same): num(r, "value")
        for r in values(rows, "block_table_gather", variant="exposed")
    }
    ratios = [
        num(r, "value") / exposed[at]
        for r in values(rows, "block_table_gather", variant="prefetched")
        if (at := tuple(num(r, key) for key in same)) in exposed
    ]
    if not ratios:
        return None
    return Claim(
        "block-table entries one page ahead: bandwidth over exposed ones",
        "at least 0.95",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
        min(ratios) >= 0.95,
    )


def bit_tricks_beat_conversion(rows: list[Record]) -> Claim | None:
    lop3 = values(rows, "unpack_rate", kv_dtype="int4", method="lop3")
    plain = values(rows, "unpack_rate", kv_dtype="int4", method="convert")
    if not (lop3 and plain):
        return None
    ratio = num(lop3[0], "value") / num(plain[0], "value")
    return Claim(
        "INT4 by LOP3 over conversion instructions", "2 to 16 fold", f"{ratio:.1f}", 2 <= ratio <= 16
    )


def full_bank_conflict_is_32_fold(rows: list[Record]) -> Claim | None:
    loads = {
        num(r, "stride_bytes"): num(r, "value") for r in values(rows, "shared_memory", method="load 4 B")
    }
    if not {4, 128} <= loads.keys():
        return None
    ratio = loads[4] / loads[128]
    return Claim(
        "4 B loads: stride of one word over 32 words", "24 to 33 fold", f"{ratio:.1f}", 24 <= ratio <= 33
    )


def graph_launch_is_not_dearer(rows: list[Record]) -> Claim | None:
    graph = values(rows, "launch", variant="back to back, per kernel")
    stream = values(rows, "launch", variant="back to back, per kernel, host not ahead")
    if not (graph and stream):
        return None
    a, b = num(graph[0], "value"), num(stream[0], "value")
    return Claim(
        "a kernel as graph node costs no more than in a stream",
        "at most 1.1x",
        f"{a:.2f} and {b:.2f} us",
        a <= 1.1 * b,
    )


def decode_pairs(rows: list[Record]) -> list[tuple[Record, Record]]:
    """(warm, cold) rows of the same point."""
    same = ("kernel", "batch", "context", "page_size", "kv_dtype", "q_heads", "kv_heads")
    cold = {
        tuple(str(r.get(key, "")) for key in same): r
        for r in values(rows, "decode_attention", l2_state="cold")
    }
    warm = values(rows, "decode_attention", l2_state="warm")
    pairs = [(r, cold.get(tuple(str(r.get(key, "")) for key in same))) for r in warm]
    return [(a, b) for a, b in pairs if b is not None]


def cold_decode_is_not_faster(rows: list[Record]) -> Claim | None:
    pairs = decode_pairs(rows)
    if not pairs:
        return None
    faster = sum(num(cold, "value") < 0.95 * num(warm, "value") for warm, cold in pairs)
    return Claim(
        "decode with a cold L2 is not faster than warm",
        "within 5%",
        f"{faster} of {len(pairs)} faster",
        faster == 0,
    )


def decode_approaches_bandwidth(rows: list[Record], peaks: Peaks | None) -> Claim | None:
    large = [
        kv_bytes(r) / num(r, "value") / 1e3
        for r in values(rows, "decode_attention", l2_state="cold", kv_dtype="bf16")
        if kv_bytes(r) > 1e9
    ]
    if not large or peaks is None:
        return None
    share = max(large) / peaks.hbm_gb_s
    return Claim(
        "best bf16 decode over 1 GB of KV", "0.4 to 1.0 of peak", f"{share:.2f}", 0.4 <= share <= 1.0
    )
