"""A microbenchmark as a Result: all of the run as its time and account, its steady stretch in counters `micro_*`."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from sim.bounds import check_not_beaten
from sim.causes import WAIT
from sim.config.hardware import Hardware
from sim.config.micro import Micro
from sim.finish import echo_of, finish, finish_bound
from sim.kernel_report import KernelReport
from sim.memory.counters import moved_bytes
from sim.memory.fetches import FetchKind
from sim.memory.latency import l2_trip_ns
from sim.memory.peaks import data_peak_gb_s
from sim.micro.build import build, point_of
from sim.micro.driver import PS_PER_NS, Benchmark, Outcome, run
from sim.operations import Operations
from sim.result import Result
from sim.whatif import IDEALS


def simulate_micro(
    hw: Hardware, spec: Micro, seed: int, *, bound_only: bool = False, what_if: bool = False
) -> Result:
    """Raises InputError for what the machine cannot do, SelfCheckError when the account or a bound is broken."""
    started = time.perf_counter()
    bench = build(hw, spec, seed)
    if bound_only:
        least = {"hbm_write" if _writes(bench) else "hbm_read": _least_from_memory(bench, hw)}
        return finish_bound(
            micro_bounds_ns(bench, hw), least, hw, _echo(hw, spec, seed, "bound"), started=started
        )
    report = report_micro(hw, spec, bench)
    return finish(
        report,
        hw,
        _echo(hw, spec, seed, "full"),
        sampling={"mode": "full", "relative_ci95": 0.0},
        what_if=_gains(hw, spec, seed, report.time_ns) if what_if else None,
        started=started,
    )


def report_micro(hw: Hardware, spec: Micro, bench: Benchmark, zero_latency: bool = False) -> KernelReport:
    """Run it and check it against its bounds."""
    outcome = run(bench, zero_latency)
    bounds = micro_bounds_ns(bench, hw)
    check_not_beaten(outcome.whole.time_ns, bounds)
    c = outcome.whole.counters
    account = {cause: value / PS_PER_NS for cause, value in outcome.account().items()}
    return KernelReport(
        time_ns=outcome.whole.time_ns,
        account=account,
        bytes=moved_bytes(c)
        | {"sram_fill": c["l2_read"], "block_table": c["requested_metadata"], "scales": 0},
        operations=Operations(),
        bounds_ns=bounds,
        counters=dict(c) | _measured(spec, bench, outcome) | _parts_of_a_wait(bench, account),
        mapping={
            "kernel": f"microbenchmark {spec.benchmark}",
            "sms": bench.crew.sms,
            "fetches_per_sm": bench.crew.slots,
            "fetches": bench.table.fetches,
            "passes": bench.passes,
        },
    )


def _measured(spec: Micro, bench: Benchmark, outcome: Outcome) -> dict[str, float]:
    """The steady stretch, named apart from the counters of the whole run."""
    point = point_of(spec, bench, outcome) | {"window_ns": outcome.window.time_ns}
    return {f"micro_{name}": value for name, value in point.items()}


def _parts_of_a_wait(bench: Benchmark, account: Mapping[str, float]) -> dict[str, float]:
    """What one fetch of a chain waited for, ns on average: the account of a whole chip drowns it in idle SMs."""
    if bench.crew.workers > 1:
        return {}
    return {
        f"micro_wait_{cause}_ns": account[cause] / bench.table.fetches for cause in WAIT if account[cause]
    }


def micro_bounds_ns(bench: Benchmark, hw: Hardware) -> dict[str, float]:
    """What no machine with these resources can beat. `latency`: the loads of a slot follow one another, and each is at
    least a way to an L2 slice, its look-up and the way back.
    """
    written = _writes(bench)
    wanted = int(bench.table.run_bytes.sum(dtype=np.int64))
    port = hw.noc.write_bytes_per_clk if written else hw.noc.port_bytes_per_clk
    bounds = {
        "hbm": _least_from_memory(bench, hw) / data_peak_gb_s(hw.hbm),
        "noc": wanted / (bench.crew.sms * hw.sm.clock_ghz * port),
    }
    if written:
        return bounds
    crew = bench.crew
    trip = l2_trip_ns(hw) + crew.launch_ns + crew.issue_ns
    return bounds | {
        "l2": wanted / hw.l2.bandwidth_gb_s,
        "latency": -(-bench.table.fetches // crew.workers) * trip,
    }


def _writes(bench: Benchmark) -> bool:
    return bool(bench.table.kind[0] == FetchKind.WRITE)


def _least_from_memory(bench: Benchmark, hw: Hardware) -> int:
    """Bytes that must come from (or go to) memory: caches can keep no more from one pass to the next than they hold,
    and a first read finds nothing in cold ones.
    """
    cached = int((hw.l2.capacity_mib + (hw.llc.capacity_mib if hw.llc else 0)) * 2**20)
    beyond = bench.passes * max(0, bench.distinct_bytes - cached)
    first = not bench.is_warm and not _writes(bench)
    return beyond + (min(bench.distinct_bytes, cached) if first else 0)


def _gains(hw: Hardware, spec: Micro, seed: int, time_ns: float) -> dict[str, float]:
    """Speed-up of each ideal resource."""
    gains = {}
    for name, idealise in IDEALS.items():
        ideal = idealise(hw, hw.sm.sram_kib)
        bench = build(ideal, spec, seed, look_up=name != "free_translation")
        report = report_micro(ideal, spec, bench, zero_latency=name == "zero_latency_hbm")
        gains[name] = time_ns / report.time_ns
    return gains


def _echo(hw: Hardware, spec: Micro, seed: int, fidelity: str) -> Mapping[str, Any]:
    return echo_of(hw, spec.model_dump(mode="json"), seed, fidelity)
