"""A microbenchmark of a workload file on a machine: its fetches, its point, and what cannot be."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import MappingProxyType

from sim.config.hardware import Hardware
from sim.config.micro import Micro
from sim.errors import InputError
from sim.micro import chase, gather, inflight, stream
from sim.micro.driver import Benchmark, Outcome

MIB, KIB = 1 << 20, 1024
MOST_FETCHES = 4_000_000
"""A minute or two of simulation."""
MOST_CHASED = 16_000_000
"""Blocks of a chase, which a warm one touches twice."""
LEAST_CHASED = 16


def build(hw: Hardware, spec: Micro, seed: int, look_up: bool = True) -> Benchmark:
    """look_up: false leaves block-table entries out (a what-if). Raises InputError for what the machine lacks."""
    sms = spec.sms or hw.sm.count
    if sms > hw.sm.count:
        raise _refused(hw, "sms", sms, f"up to {hw.sm.count}")
    if (spec.footprint_mib or 0) > hw.hbm.capacity_gib * 1024:
        text = f"up to {hw.hbm.capacity_gib * 1024:g}, its memory"
        raise _refused(hw, "footprint_mib", spec.footprint_mib, text)
    return BUILDERS[spec.benchmark](hw, spec, seed, look_up)


def point_of(spec: Micro, bench: Benchmark, outcome: Outcome) -> dict[str, float]:
    """What the benchmark measures, by name."""
    if spec.benchmark == "chase":
        return asdict(chase.chase_point(outcome))
    if spec.benchmark == "inflight":
        return asdict(inflight.inflight_point(bench, outcome))
    if spec.benchmark == "gather":
        return asdict(gather.gather_point(outcome))
    if spec.benchmark == "block_table_chase":
        return asdict(gather.table_point(outcome))
    return asdict(stream.stream_point(outcome))


def _chase(hw: Hardware, spec: Micro, seed: int, _look_up: bool) -> Benchmark:
    footprint, block = _footprint(spec), chase.block_bytes(hw)
    _within(hw, "footprint_mib", footprint, LEAST_CHASED * block / MIB, MOST_CHASED * block / MIB)
    return chase.chase(hw, footprint, seed, spec.l2_state == "warm")


def _stream(hw: Hardware, spec: Micro, seed: int, _look_up: bool) -> Benchmark:
    footprint = _footprint(spec)
    what = stream.Stream(
        footprint, spec.passes, spec.l2_state == "warm", spec.benchmark == "stream_write", spec.sms
    )
    block_mib = stream.BLOCK_BYTES / MIB
    _within(hw, "footprint_mib", footprint, block_mib, MOST_FETCHES * block_mib)
    least = stream.BLOCKS_PER_SLOT * stream.SLOTS * (spec.sms or hw.sm.count)
    passes = stream.passes_of(what, hw)
    _within(hw, "passes", passes, -(-least // what.blocks), max(1, MOST_FETCHES // what.blocks))
    return stream.stream(hw, what, seed)


def _inflight(hw: Hardware, spec: Micro, _seed: int, _look_up: bool) -> Benchmark:
    sms, kib = spec.sms or hw.sm.count, spec.inflight_kib or 0.0
    per_thread = inflight.LOAD_BYTES / KIB
    _within(hw, "inflight_kib", kib, sms * per_thread, sms * inflight.most_threads(hw) * per_thread)
    return inflight.inflight(hw, round(kib / per_thread), sms)


def _gather(hw: Hardware, spec: Micro, seed: int, _look_up: bool) -> Benchmark:
    size, pool = spec.run_bytes or 0, _footprint(spec)
    _within(hw, "footprint_mib", pool, 2 * size / MIB, hw.hbm.capacity_gib * 1024)
    return gather.gather(hw, size, pool, seed, spec.sms)


def _table(hw: Hardware, spec: Micro, seed: int, look_up: bool) -> Benchmark:
    size, pool = spec.run_bytes or 0, _footprint(spec)
    cell = max(size, gather.ENTRY_CELL_BYTES)
    _within(hw, "footprint_mib", pool, 2 * cell / MIB, hw.hbm.capacity_gib * 1024)
    return gather.table_chase(hw, size, pool, seed, look_up)


BUILDERS: Mapping[str, Callable[[Hardware, Micro, int, bool], Benchmark]] = MappingProxyType(
    {
        "chase": _chase,
        "stream_read": _stream,
        "stream_write": _stream,
        "inflight": _inflight,
        "gather": _gather,
        "block_table_chase": _table,
    }
)


def _footprint(spec: Micro) -> float:
    """The schema asks for it where it is needed."""
    return spec.footprint_mib or 0.0


def _within(hw: Hardware, key: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise _refused(hw, key, value, f"from {least:g} to {most:g}")


def _refused(hw: Hardware, key: str, value: object, allowed: str) -> InputError:
    return InputError(f"workload.{key}: found {value}; allowed on {hw.name}: {allowed}")
