"""Rows that cannot be true: faster than the machine allows, or slower than a larger problem of the same kind.

Memory: what does not fit the L2 (all of it when the cache starts cold) must come over the HBM bus at its peak.
L2: all KV comes through it, at twice its configured bandwidth at most. Compute: the FLOPs at the best tensor rate for
their format, at the clock to which the board boosts. Latency: one trip to L2. Nominal capacity and peaks are used,
which no kernel beats, so that only measurement or transcription faults are rejected.
"""

from collections import defaultdict
from collections.abc import Sequence

from sim.bounds import best_tensor_flop_per_clk
from sim.memory.latency import l2_trip_ns
from sim.memory.peaks import peak_gb_s
from sim.validation.cases import Mapped, Skipped

SLOWER = 0.12
"""A row this much slower than the same layout at longer context or larger batch is a measurement fault
(first-case warm-up); kernels' own steps of wave and split rules stay below."""
BEYOND_L2 = 2.0
"""The configured bandwidth of L2 is measured or fitted, and chips state none that nothing beats: measurements of one
chip differ by a tenth (hwconfigs), and a fit must be able to start from half of the true one."""
LONGEST_US = 3600e6
"""An hour: a unit or a rate close to zero, not a kernel."""
US = 1e3
"""Nanoseconds."""


def impossible(case: Mapped) -> str:
    """The tightest limit that the row beats, with the arithmetic; nothing when it beats none."""
    measured_ns = case.time_us * US
    if not measured_ns <= LONGEST_US * US:
        return f"impossible: {case.time_us:.4g} us measured, at most {LONGEST_US:.4g} us are one launch"
    floors = (_memory_floor(case), _l2_floor(case), _compute_floor(case), _latency_floor(case))
    text, floor_ns = max(floors, key=lambda floor: floor[1])
    if measured_ns < floor_ns:
        seen = f"{measured_ns / US:.4g} us measured, at least {floor_ns / US:.4g} us needed"
        return f"impossible: {text}: {seen}"
    return ""


def _memory_floor(case: Mapped) -> tuple[str, float]:
    peak = peak_gb_s(case.hw.hbm)
    kv = case.kv_bytes
    if not case.warm:
        return f"{kv / 1e6:.4g} MB of KV from cold at {peak:.4g} GB/s", kv / peak
    cached = case.hw.l2.capacity_mib * 2**20 + (case.hw.llc.capacity_mib * 2**20 if case.hw.llc else 0)
    text = f"{kv / 1e6:.4g} MB of KV less {cached / 1e6:.4g} MB of L2 at {peak:.4g} GB/s"
    return text, max(0.0, kv - cached) / peak


def _l2_floor(case: Mapped) -> tuple[str, float]:
    peak = BEYOND_L2 * case.hw.l2.bandwidth_gb_s
    text = (
        f"{case.kv_bytes / 1e6:.4g} MB of KV through L2 at {peak:.4g} GB/s, {BEYOND_L2:g} times its bandwidth"
    )
    return text, case.kv_bytes / peak


def _compute_floor(case: Mapped) -> tuple[str, float]:
    formats = {str(case.names.kv.kv_format), str(case.workload.kv_format)}
    rate = best_tensor_flop_per_clk(case.hw, tuple(formats))
    sm = case.hw.sm
    peak = rate * sm.clock_ghz * (sm.boost or 1) * sm.count
    text = f"{case.shape.flops / 1e9:.4g} GFLOP at {peak / 1e3:.4g} TFLOP/s"
    return text, case.shape.flops / peak


def _latency_floor(case: Mapped) -> tuple[str, float]:
    return "one trip to L2", l2_trip_ns(case.hw)


def reject_impossible(cases: Sequence[Mapped]) -> tuple[list[Mapped], list[Skipped]]:
    """The cases that may be true, and the others with the limit that they beat."""
    kept, rejected = [], []
    for case in cases:
        reason = impossible(case)
        if reason:
            rejected.append(Skipped(case.row, reason))
        else:
            kept.append(case)
    return kept, rejected


def reject_unordered(cases: Sequence[Mapped]) -> tuple[list[Mapped], list[Skipped]]:
    """Drop rows more than 12 % slower than the same layout with no less batch, context and queries."""
    groups: dict[tuple[object, ...], list[Mapped]] = defaultdict(list)
    for case in cases:
        groups[_layout(case)].append(case)
    reasons = {case.row.id: reason for group in groups.values() for case, reason in _unordered(group)}
    kept = [case for case in cases if case.row.id not in reasons]
    return kept, [Skipped(case.row, reasons[case.row.id]) for case in cases if case.row.id in reasons]


def _layout(case: Mapped) -> tuple[object, ...]:
    """What must be equal for two rows to be the same measurement at two sizes."""
    row = case.row
    queries = row.q_len if row.phase == "decode" else None
    heads = (row.q_heads, row.kv_heads, row.head_dim)
    how = (
        row.page_size,
        row.kv_dtype,
        row.causal,
        row.metric,
        row.unit,
        case.names.kernel.profile,
        case.warm,
        case.names.runtime.lengths,
    )
    return (row.source, row.gpu, row.kernel, row.phase, queries, *heads, *how, str(case.workload.kv_format))


def _unordered(group: list[Mapped]) -> list[tuple[Mapped, str]]:
    out = []
    for case in group:
        faster = [
            other for other in group if _larger(other, case) and case.time_us > (1 + SLOWER) * other.time_us
        ]
        if faster:
            other = min(faster, key=lambda o: o.time_us)
            at = f"{other.shape.batch} x {other.shape.context}"
            text = f"{case.time_us:.4g} us, but {other.time_us:.4g} us at {at} ({other.row.id})"
            out.append((case, f"not monotonic: {text}"))
    return out


def _larger(other: Mapped, case: Mapped) -> bool:
    """No smaller in any dimension, and larger in batch or context."""
    a, b = other.shape, case.shape
    if a.q_len < b.q_len or a.batch < b.batch or a.context < b.context:
        return False
    # A chunk after a longer prefix is more work only when it adds as many queries.
    return (a.batch, a.context) != (b.batch, b.context)
