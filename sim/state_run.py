"""The state update of one SSM layer on one machine, as a kernel report."""

from sim.bounds import cached_bytes
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.workload import Model, Workload
from sim.errors import InputError
from sim.kernel_report import PS_PER_NS, KernelReport
from sim.lowering.ssm import build_state_update, state_bytes
from sim.machine import Machine, RunOptions
from sim.memory.counters import moved_bytes
from sim.memory.peaks import data_peak_gb_s
from sim.operations import launch_operations

STATE_PHASES = ("decode", "verify")
"""Phases with one new token per sequence."""


def states_read(model: Model, workload: Workload, hw: Hardware) -> float:
    """Bytes that one layer's update has to read from device memory: all states but those that caches hold before."""
    size = state_bytes(model, workload.batch, workload.tensor_parallel)
    return max(0.0, size - cached_bytes(hw)) if workload.l2_state == "warm" else size


def state_bounds_ns(model: Model, workload: Workload, hw: Hardware) -> dict[str, float]:
    """Bounds of one layer's update by resource: every state is read and written. What caches hold before (a replay) is
    not read from memory, and as much as they can hold need not be written to it yet."""
    size = state_bytes(model, workload.batch, workload.tensor_parallel)
    moved = states_read(model, workload, hw) + max(0.0, size - cached_bytes(hw))
    return {
        "hbm": moved / data_peak_gb_s(hw.hbm),
        "l2": size / hw.l2.bandwidth_gb_s,
        "noc": size / (hw.sm.count * hw.sm.clock_ghz * hw.noc.port_bytes_per_clk),
    }


def refuse_other_work(model: Model, workload: Workload) -> None:
    """Raises InputError for new tokens that follow each other in a sequence, which states take in a scan that is not
    simulated, and, where a model has states alone, for keys that would move nothing."""
    if workload.phase not in STATE_PHASES:
        raise InputError(
            f"workload.phase: found {workload.phase} with state-space layers; allowed: {' or '.join(STATE_PHASES)} "
            "(their scan of many new tokens is not simulated)"
        )
    if workload.q_len > 1:
        raise InputError(
            f"workload.q_len: found {workload.q_len} with state-space layers; allowed: 1 "
            "(their scan of several new tokens is not simulated)"
        )
    if model.attention == "ssm" and workload.mapping != "auto":
        raise InputError("workload.mapping: found sizes of KV tiles with ssm layers alone; allowed: auto")


def state_profile(model: Model, workload: Workload, profiles: list[KernelProfile]) -> KernelProfile:
    """The profile of state updates: the one named, or the first. Where a model has attention too, `kernel` names that
    of its attention. Raises InputError when the one named does not compute them."""
    named = [p for p in profiles if p.name == workload.kernel] if model.attention == "ssm" else []
    knowing = [p.name for p in profiles if "ssm" in p.attention]
    found = next((p for p in named or profiles if "ssm" in p.attention), None)
    if found is None:
        names = ", ".join(["auto", *knowing])
        raise InputError(
            f"workload.kernel: {workload.kernel!r} does not compute ssm layers; allowed: {names}"
        )
    return found


def report_state(
    model: Model,
    workload: Workload,
    profiles: list[KernelProfile],
    hw: Hardware,
    *,
    zero_latency: bool = False,
) -> KernelReport:
    """Simulate the update of all sequences' states; zero_latency: of device memory (a what-if).

    Raises InputError when the kernel named, or no profile, knows SSM layers.
    """
    profile = state_profile(model, workload, profiles)
    launch = build_state_update(model, workload.batch, workload.tensor_parallel, profile, hw)
    options = RunOptions(workload.launch, workload.l2_state == "warm", zero_latency=zero_latency)
    outcome = Machine(hw, [launch], options).run(("fp16",))
    c = outcome.counters
    return KernelReport(
        time_ns=outcome.time_ps / PS_PER_NS,
        account={cause: value / PS_PER_NS for cause, value in outcome.account.items()},
        bytes=moved_bytes(c) | {"sram_fill": c["l2_read"], "block_table": 0, "scales": 0},
        operations=launch_operations(launch),
        bounds_ns=state_bounds_ns(model, workload, hw),
        counters=dict(c) | {"ctas": launch.ctas.count, "tiles": launch.tiles},
        mapping={"kernel": profile.name, "ctas_per_sm": launch.ctas_per_sm, "ctas": launch.ctas.count},
    )
