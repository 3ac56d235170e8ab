"""One attention kernel on one machine: choose the mapping, lower it, run it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.config.split import Split
from sim.config.workload import KernelProfile, Mapping, Workload
from sim.errors import InputError
from sim.lowering.attention import LookUp, build_attention
from sim.lowering.candidates import Candidate, candidates
from sim.lowering.combine import build_combine
from sim.lowering.cut import Cut
from sim.lowering.kv_outer import build_kv_outer
from sim.lowering.launch import Launch
from sim.lowering.standard import build_standard, standard_candidate
from sim.lowering.units import Units, attention_units
from sim.machine import Machine, RunOptions, RunOutcome
from sim.memory.addresses import AddressMap, build_address_map
from sim.search import Choice, choose, probe_tokens
from sim.tiers.placement import TierPlan, plan_tiers

CAPABILITY = {"load": 0, "cp_async": 1, "tma": 2}
ENGINE = {"none": 0, "cp_async": 1, "tma": 2}


@dataclass(frozen=True)
class Task:
    """An attention problem on a machine, with the options that shape its run."""

    hw: Hardware
    workload: Workload
    attention: str
    step: Step
    profiles: Sequence[KernelProfile]
    ideal: str = ""
    """Name of the what-if that this run is for, or nothing."""


@dataclass(frozen=True)
class AttentionRun:
    """The chosen mapping, the launches it became and what they did."""

    candidate: Candidate
    choice: Choice
    units: Units
    launches: tuple[Launch, ...]
    outcome: RunOutcome
    tiers: TierPlan | None = None


def usable_profiles(task: Task) -> list[KernelProfile]:
    """The profiles that can run this problem on this chip, in order; the named one alone when one is named.

    A named kernel keeps its implementation's own split rule; `auto` asks what its style could do at best.
    """
    wanted = task.workload.kernel
    reasons: list[str] = []
    found: list[KernelProfile] = []
    for profile in task.profiles:
        if profile.name != wanted and (wanted != "auto" or not profile.auto):
            continue
        reason = _why_not(profile, task)
        if reason:
            reasons.append(f"{profile.name}: {reason}")
        else:
            found.append(profile if wanted == profile.name else searched(profile))
    if not found:
        detail = "; ".join(reasons) or f"allowed: {', '.join(p.name for p in task.profiles)}"
        raise InputError(f"workload.kernel: {wanted!r} cannot run this on {task.hw.name}: {detail}")
    return found


def searched(profile: KernelProfile) -> KernelProfile:
    """The profile without its own rule: tile, depth and splits are free."""
    return profile.model_copy(update={"split": Split()})


def _why_not(profile: KernelProfile, task: Task) -> str | None:
    missing = [f for f in task.step.formats if f not in profile.formats]
    if task.step.phase not in profile.phase:
        return f"it is for {', '.join(profile.phase)}"
    if task.attention not in profile.attention:
        return f"it does not compute {task.attention} attention"
    if missing:
        return f"it does not read {', '.join(missing)}"
    if CAPABILITY[profile.address] > ENGINE[task.hw.sm.async_copy]:
        return f"it needs {profile.address}, the chip has {task.hw.sm.async_copy}"
    return None


def _lower(task: Task, units: Units, cut: Cut, addresses: AddressMap) -> Launch:
    w = task.workload
    look_up = LookUp(
        software=not task.hw.translation.assist and task.ideal != "free_translation",
        assist=task.hw.translation.assist and task.ideal != "free_translation",
        entry_bytes=w.table_entry_bytes,
        two_level=w.table_layout == "two_level",
    )
    return build_attention(task.step, units, cut, task.hw, addresses, look_up)


def build_launches(task: Task, units: Units, cut: Cut, addresses: AddressMap) -> list[Launch]:
    """What the kernel launches, in dependent order."""
    if cut.profile.algorithm == "standard":
        return build_standard(task.step, cut, task.hw, addresses)
    if cut.profile.algorithm == "kv_outer":
        return [build_kv_outer(task.step, cut, task.hw, addresses)]
    combine = build_combine(task.step, units, cut, addresses)
    return [_lower(task, units, cut, addresses), *([combine] if combine is not None else [])]


def find_mapping(task: Task, addresses: AddressMap) -> Choice:
    """Search (or take) the mapping. Raises InputError when nothing fits the chip."""
    fixed = task.workload.mapping if isinstance(task.workload.mapping, Mapping) else None
    profiles = usable_profiles(task)
    if profiles[0].algorithm == "standard":
        return Choice(standard_candidate(task.step, profiles[0], task.hw), (), (), 1)
    found = candidates(task.step, profiles, fixed, task.hw, task.workload.table_entry_bytes)
    if profiles[0].algorithm == "kv_outer":
        return Choice(found[0], (), (), len(found))

    def probe(cut: Cut) -> tuple[float, float]:
        tokens = probe_tokens(task.step, cut, task.hw)
        units = _one_wave(attention_units(task.step, cut), tokens, task.hw.sm.count * cut.ctas_per_sm)
        launch = _lower(task, units, cut, addresses)
        outcome = Machine(
            as_addressed(task.hw, cut.profile),
            [launch],
            RunOptions(how="none", zero_latency=task.ideal == "zero_latency_hbm"),
        ).run(task.step.formats)
        return outcome.time_ps / 1000, launch.tiles / launch.ctas.count

    return choose(task.step, found, task.hw, probe)


def _one_wave(units: Units, tokens: int, slots: int) -> Units:
    """At most `slots` CTAs, evenly spaced over the grid, with at most `tokens` KV tokens each."""
    count = len(units.sequence)
    keep = np.unique(np.linspace(0, count - 1, min(slots, count)).astype(np.int64))
    short = replace(units, hi=np.minimum(units.hi, units.lo + tokens))
    return Units(**{name: getattr(short, name)[keep] for name in Units.__dataclass_fields__})


def as_addressed(hw: Hardware, profile: KernelProfile) -> Hardware:
    """The chip with what one run of a tile costs in this kernel, which may make addresses in its own way."""
    if profile.run_clk is None:
        return hw
    return hw.model_copy(update={"gather": hw.gather.model_copy(update={"issue_clk": profile.run_clk})})


def run_attention(task: Task, record_order: bool = False) -> AttentionRun:
    """Simulate the kernel with its best mapping.

    Where probes favour a mapping that needs more SRAM, it is simulated too and taken if it really is faster.
    """
    addresses = build_address_map(task.step, task.workload.layout, task.workload.table_entry_bytes)
    choice = find_mapping(task, addresses)
    best = _run(task, choice.candidate, choice, addresses, record_order)
    for contender in choice.contenders:
        run = _run(task, contender, choice, addresses, record_order)
        if run.outcome.time_ps >= best.outcome.time_ps:
            break
        best = run
    return best


def _run(
    task: Task, candidate: Candidate, choice: Choice, addresses: AddressMap, record_order: bool
) -> AttentionRun:
    units = attention_units(task.step, candidate.cut)
    launches = build_launches(task, units, candidate.cut, addresses)
    options = RunOptions(
        how=task.workload.launch,
        warm=task.workload.l2_state == "warm",
        record_order=record_order,
        zero_latency=task.ideal == "zero_latency_hbm",
    )
    placement = task.workload.tier
    tiers = None
    if placement is not None:
        tiers = plan_tiers(task.step, addresses, launches[0], prefetch=placement.policy == "prefetch")
    hw = as_addressed(task.hw, candidate.cut.profile)
    outcome = Machine(hw, launches, options, tiers).run(task.step.formats)
    return AttentionRun(candidate, choice, units, tuple(launches), outcome, tiers)
