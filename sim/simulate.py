"""One simulation: a step of the engine on a machine, as a Result.

A kernel workload is one launch (with its split reduction). A step workload simulates the attention of one layer in
full and counts it once per layer, since layers differ in data only; GEMMs and collectives come beside it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kernels_ref.trace import Step
from sim.attention_run import AttentionRun, Task, run_attention
from sim.bounds import check_not_beaten, kernel_bounds_ns, least_memory_reads
from sim.clock import under_load
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.runtime import Runtime
from sim.config.workload import Model, Workload
from sim.finish import echo_of, finish, finish_bound
from sim.kernel_report import KernelReport, joined, report_attention, scaled
from sim.kv_report import check_states_fit, kv_report
from sim.layer import report_around
from sim.lowering.layer_gemms import attention_layers
from sim.result import Result
from sim.state_run import refuse_other_work, report_state, state_bounds_ns, states_read
from sim.whatif import IDEALS, ideal_profiles
from sim.work import step_work


@dataclass(frozen=True)
class Case:
    """Everything that decides a result. `step` is None for models without attention."""

    hw: Hardware
    workload: Workload
    model: Model
    profiles: list[KernelProfile]
    step: Step | None
    seed: int = 0
    ideal: str = ""
    runtime: Runtime | None = None
    """How the rest of a step runs; kernels need none."""

    @property
    def loaded(self) -> Hardware:
        """The machine at the clock that it holds in this phase."""
        return under_load(self.hw, self.workload.phase, step=self.workload.kind == "step")

    @property
    def no_latency(self) -> bool:
        """Whether device memory takes no time but its bursts."""
        return self.ideal == "zero_latency_hbm"


Verify = Callable[[AttentionRun], dict[str, Any]]


@dataclass(frozen=True)
class Simulated:
    """The sums of a run, and the attention run behind them where there was one."""

    report: KernelReport
    attention: AttentionRun | None


def counted_layers(case: Case) -> tuple[int, int]:
    """How often a layer of attention and one of state space count; 0: it is no part of the run."""
    model, whole_step = case.model, case.workload.kind == "step"
    attention = 0 if case.step is None else attention_layers(model) if whole_step else 1
    states = case.step is None or (whole_step and model.attention == "hybrid")
    others = model.layers - attention_layers(model) if whole_step else 1
    return attention, others if states else 0


def run_case(case: Case, record_order: bool = False, sampled: bool = False) -> Simulated:
    """Simulate, attention in full or sampled."""
    attention, parts = None, []
    attention_count, state_count = counted_layers(case)
    if case.step is not None:
        kind = "gqa" if case.model.attention == "hybrid" else case.model.attention
        task = Task(case.hw, case.workload, kind, case.step, case.profiles, case.ideal)
        attention = run_attention(task, record_order=record_order, sampled=sampled)
        report = report_attention(task, attention)
        check_not_beaten(report.time_ns, dict(report.bounds_ns))
        parts.append(scaled(report, attention_count))
    if state_count:
        state = report_state(
            case.model, case.workload, case.profiles, case.loaded, zero_latency=case.no_latency
        )
        check_not_beaten(state.time_ns, dict(state.bounds_ns))
        parts.append(scaled(state, state_count))
    if case.workload.kind == "step":
        parts += around(case)
    return Simulated(joined(parts, parts[0].mapping), attention)


def around(case: Case) -> list[KernelReport]:
    """What a step does beside attention. Raises ValueError for a step without a runtime."""
    if case.runtime is None:
        raise ValueError("a step needs a runtime: how its GEMMs, norms and collectives run")
    kv_bytes = step_work(case.step).kv_bytes if case.step is not None else 0
    parts = report_around(
        new_tokens(case),
        case.workload.batch,
        case.model,
        case.workload,
        case.loaded,
        case.runtime,
        kv_bytes,
        zero_latency=case.no_latency,
    )
    for part in parts:
        check_not_beaten(part.time_ns, dict(part.bounds_ns))
    return parts


def new_tokens(case: Case) -> int:
    return int(case.step.q_len.sum()) if case.step is not None else case.workload.batch * case.workload.q_len


def simulate_case(
    case: Case, *, fidelity: str = "full", what_if: bool = False, verify: Verify | None = None
) -> Result:
    """Run a case. Raises InputError for what cannot run, StuckError and SelfCheckError as their names say."""
    started = time.perf_counter()
    kv = kv_report(case.step, case.model, case.workload, case.hw) if case.step is not None else {}
    if counted_layers(case)[1]:
        refuse_other_work(case.model, case.workload)
    check_states_fit(counted_layers(case)[1], kv.get("used_bytes", 0.0), case.model, case.workload, case.hw)
    if fidelity == "bound":
        return _bound_result(case, kv, started)
    sampled = fidelity == "sampled"
    simulated = run_case(case, record_order=verify is not None, sampled=sampled)
    gains = what_if_gains(case, simulated.report.time_ns, sampled) if what_if else None
    checked = verify(simulated.attention) if verify and simulated.attention else None
    return finish(
        simulated.report,
        case.loaded,
        _echo(case, fidelity),
        tokens=_tokens(case),
        kv=kv,
        sampling=_sampling(simulated, fidelity),
        what_if=gains,
        verify=checked,
        started=started,
    )


def _sampling(simulated: Simulated, fidelity: str) -> dict[str, Any]:
    """How the time was found; the interval is that of the attention, in whose time alone there is sampling."""
    exact = {"mode": fidelity, "relative_ci95": 0.0}
    if simulated.attention is None or simulated.attention.sampling is None:
        return exact
    return exact | dict(simulated.attention.sampling)


def what_if_gains(case: Case, time_ns: float, sampled: bool) -> dict[str, float]:
    """Speed-up of each ideal resource, the mapping searched again for each."""
    gains: dict[str, float] = {}
    for name, idealise in IDEALS.items():
        hw = idealise(case.hw, _whole_context_kib(case))
        ideal = replace(case, hw=hw, profiles=ideal_profiles(name, case.profiles), ideal=name)
        gains[name] = time_ns / run_case(ideal, sampled=sampled).report.time_ns
    return gains


def _whole_context_kib(case: Case) -> int:
    """SRAM that holds the longest context's tiles of one KV head on every SM: more could not be used."""
    if case.step is None:
        return case.hw.sm.sram_kib
    g = case.step.geometry
    return int(case.step.context.max()) * (g.head_dim + g.value_dim) * 2 // 1024 + case.hw.sm.sram_kib


def _echo(case: Case, fidelity: str) -> dict[str, Any]:
    workload = case.workload.model_dump(mode="json") | {"model": case.model.model_dump(mode="json")}
    if case.step is not None:
        lengths = case.step.context
        workload["contexts"] = {
            "min": int(lengths.min()),
            "mean": float(lengths.mean()),
            "max": int(lengths.max()),
        }
    return echo_of(case.hw, workload, case.seed, fidelity)


def _tokens(case: Case) -> int | None:
    return new_tokens(case) if case.workload.kind == "step" else None


def _bound_result(case: Case, kv: Mapping[str, float], started: float) -> Result:
    """`--fidelity bound`: the analytic floor as the answer, without a simulation."""
    bounds: dict[str, float] = {}
    read = 0.0
    for part, part_read, count in _bounds(case):
        read += count * part_read
        for name, value in part.items():
            bounds[name] = bounds.get(name, 0.0) + count * value
    return finish_bound(
        bounds,
        {"hbm_read": round(read)},
        case.loaded,
        _echo(case, "bound"),
        tokens=_tokens(case),
        kv=kv,
        started=started,
    )


def _bounds(case: Case) -> list[tuple[Mapping[str, float], float, int]]:
    """Bounds of each kind of kernel in a run, bytes that it must read from memory, and how often it runs."""
    attention_count, state_count = counted_layers(case)
    workload, warm = case.workload, case.workload.l2_state == "warm"
    parts: list[tuple[Mapping[str, float], float, int]] = []
    if case.step is not None:
        bounds = kernel_bounds_ns(case.step, case.profiles, workload, case.loaded)
        read = least_memory_reads(step_work(case.step), case.hw, warm=warm)
        parts.append((bounds, read, attention_count))
    if state_count:
        bounds = state_bounds_ns(case.model, workload, case.loaded)
        parts.append((bounds, states_read(case.model, workload, case.hw), state_count))
    if workload.kind == "step":
        parts += [(part.bounds_ns, part.bytes.get("hbm_read", 0), 1) for part in around(case)]
    return parts
