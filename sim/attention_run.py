"""One attention kernel on one machine: choose the mapping, lower it, run it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from kernels_ref.trace import Step
from sim.bounds import attention_bounds_ns, kernel_bounds_ns
from sim.clock import under_load
from sim.coarse.estimate import Coarse, Problem, attention_grid_of, build_coarse, coarse_time
from sim.coarse.machine import Memory
from sim.config.hardware import Hardware, Sm
from sim.config.kernel_profile import USUAL_CODE_TRIPS, KernelProfile
from sim.config.split import Split
from sim.config.workload import Mapping as FixedMapping
from sim.config.workload import Workload
from sim.errors import InputError
from sim.launch_times import lost_share
from sim.lowering.attention import build_attention
from sim.lowering.attention_tiles import LookUp
from sim.lowering.candidates import Candidate, candidates
from sim.lowering.cascade import build_cascade, needs_prefix
from sim.lowering.combine import build_combine
from sim.lowering.cut import Cut
from sim.lowering.kv_outer import build_kv_outer
from sim.lowering.launch import Launch
from sim.lowering.standard import build_standard, standard_candidate
from sim.lowering.units import Units, attention_units
from sim.machine import Machine, RunOptions, RunOutcome
from sim.memory.addresses import AddressMap, build_address_map
from sim.memory.regions import regions_for
from sim.operations import Totals, totals_of_coarse, totals_of_launches
from sim.sampled.plan import is_past_lru, plan_sample
from sim.sampled.run import run_sampled
from sim.search import Choice, choose
from sim.tiers.placement import TierPlan, plan_tiers
from sim.work import step_work

CAPABILITY = {"load": 0, "cp_async": 1, "tma": 2}
ENGINE = {"none": 0, "cp_async": 1, "tma": 2}
PS_PER_NS = 1000


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

    @property
    def loaded(self) -> Hardware:
        """The chip at the clock that it holds in this phase."""
        return under_load(self.hw, self.step.phase, step=self.workload.kind == "step")


@dataclass(frozen=True)
class AttentionRun:
    """The chosen mapping, the launches it became and what they did."""

    candidate: Candidate
    choice: Choice
    units: Units
    launches: tuple[Launch, ...]
    """Empty unless the order of work was recorded."""
    outcome: RunOutcome
    totals: Totals
    tiers: TierPlan | None = None
    sampling: Mapping[str, float] | None = None
    """How good a sampled run is; None for a whole one."""


def usable_profiles(task: Task) -> list[KernelProfile]:
    """The profiles that can run this problem on this chip, in order; the named one alone when one is named.

    A named kernel keeps its implementation's own split rule; `auto` asks what its style could do at best, and leaves
    loads through registers out where another kernel copies asynchronously.
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
    return found if wanted != "auto" else _asynchronous(found) or found


def _asynchronous(profiles: Sequence[KernelProfile]) -> list[KernelProfile]:
    return [profile for profile in profiles if profile.address != "load"]


def searched(profile: KernelProfile) -> KernelProfile:
    """The profile without its own rule: tile, depth and splits are free, and its code is as large as any kernel's (that
    of an implementation holds what its framework needs)."""
    return profile.model_copy(update={"split": Split(), "code_trips": USUAL_CODE_TRIPS})


def _why_not(profile: KernelProfile, task: Task) -> str | None:
    missing = [f for f in task.step.formats if f not in profile.formats]
    if task.step.phase not in profile.phase:
        return f"it is for {', '.join(profile.phase)}"
    if task.attention not in profile.attention:
        return f"it does not compute {task.attention} attention"
    if missing:
        return f"it does not read {', '.join(missing)}"
    if lacking := _lacking(profile, task.hw.sm):
        return lacking
    if profile.algorithm != "flash" and task.workload.tier is not None:
        return "it does not wait for pages in tiers"
    return needs_prefix(task.step, profile)


def _lacking(profile: KernelProfile, sm: Sm) -> str | None:
    if CAPABILITY[profile.address] > ENGINE[sm.async_copy]:
        return f"it needs {profile.address}, the chip has {sm.async_copy}"
    known = sm.mma_instructions
    if known and profile.mma_instruction not in ("any", *known):
        return f"it is written with {profile.mma_instruction}, the chip knows {', '.join(known)}"
    return None


def _look_up(task: Task) -> LookUp:
    w = task.workload
    looks_up = w.has_table and task.ideal != "free_translation"
    return LookUp(
        software=looks_up and not task.hw.translation.assist,
        assist=looks_up and task.hw.translation.assist,
        entry_bytes=w.table_entry_bytes,
        two_level=w.table_layout == "two_level",
    )


def lower_attention(task: Task, cut: Cut, addresses: AddressMap, units: Units) -> Launch:
    """The launch of the CTAs `units` alone."""
    return build_attention(task.step, units, cut, task.hw, addresses, _look_up(task))


def build_launches(task: Task, units: Units, cut: Cut, addresses: AddressMap) -> list[Launch]:
    """What the kernel launches, in dependent order."""
    if cut.profile.algorithm == "standard":
        return build_standard(task.step, cut, task.hw, addresses)
    if cut.profile.algorithm == "kv_outer":
        return [build_kv_outer(task.step, cut, task.hw, addresses)]
    if cut.profile.algorithm == "cascade":
        return build_cascade(task.step, cut, task.hw, addresses, _look_up(task))
    combine = build_combine(task.step, units, cut, addresses)
    return [lower_attention(task, cut, addresses, units), *([combine] if combine is not None else [])]


def find_mapping(task: Task, addresses: AddressMap) -> Choice:
    """Search (or take) the mapping. Raises InputError when nothing fits the chip."""
    fixed = task.workload.mapping if isinstance(task.workload.mapping, FixedMapping) else None
    profiles = usable_profiles(task)
    if profiles[0].algorithm == "standard":
        return Choice(standard_candidate(task.step, profiles[0], task.hw), (), (), 1)
    found = candidates(task.step, profiles, fixed, task.hw, task.workload.entry_bytes)
    if profiles[0].algorithm == "kv_outer":
        return Choice(found[0], (), (), len(found))

    return choose(task.step, found, task.loaded, partial(estimate_ns, task, addresses))


def problem_of(task: Task, addresses: AddressMap, cut: Cut) -> Problem:
    """The task with one mapping, as tile grain and sampling see it."""
    return Problem(
        step=task.step,
        cut=cut,
        hw=as_addressed(task.loaded, cut.profile),
        addresses=addresses,
        lower=partial(lower_attention, task, cut, addresses),
        how=task.workload.launch,
        memory=Memory(warm=_warm(task), lost=_lost(task), zero_latency=_no_latency(task)),
        look_up=_look_up(task),
    )


def coarse_kernel(task: Task, addresses: AddressMap, cut: Cut) -> tuple[Problem, Coarse]:
    """The kernel with one mapping, for tile grain."""
    problem, units = problem_of(task, addresses, cut), attention_units(task.step, cut)
    return problem, build_coarse(problem, units, attention_grid_of(problem, units))


def estimate_ns(task: Task, addresses: AddressMap, cut: Cut) -> float:
    """Time of the kernel with one mapping at tile grain."""
    return coarse_time(*coarse_kernel(task, addresses, cut)).end_ps / PS_PER_NS


def as_addressed(hw: Hardware, profile: KernelProfile) -> Hardware:
    """The chip with what one run of a tile costs in this kernel, which may make addresses in its own way."""
    if profile.run_clk is None:
        return hw
    return hw.model_copy(update={"gather": hw.gather.model_copy(update={"issue_clk": profile.run_clk})})


def _warm(task: Task) -> bool:
    return task.workload.l2_state == "warm"


def _lost(task: Task) -> float:
    """Share of the kernel's code that L2 does not hold before the launch, where it is not warm."""
    if task.workload.l2_state != "rotated":
        return 1.0
    return lost_share(step_work(task.step).kv_bytes, task.loaded)


def _no_latency(task: Task) -> bool:
    return task.ideal == "zero_latency_hbm"


def _samples(task: Task, candidate: Candidate) -> bool:
    """Whether the tile grain is good enough to extrapolate with: not for tiers, which move pages of the whole launch,
    nor where the L2 keeps classes of data apart, as it is then up to 4% too fast, beyond the interval of a sample, nor
    where an assist walks the block table, as it knows no walkers (10 to 23% too fast on pages of 16 tokens), nor for
    replays out of a last-level cache, whose hits cost it no more than those of L2 (20% too fast on MI300X)."""
    if task.workload.tier is not None or _replays_from_llc(task):
        return False
    alike = task.hw.l2.residency.is_plain and not task.hw.translation.assist
    return alike and candidate.cut.profile.algorithm == "flash"


def _replays_from_llc(task: Task) -> bool:
    """Whether a warm launch waits for the last-level cache: of twice its size random replacement finds 20%.

    Where the tensor cores need longer than memory would, as in most prefills, they hide what a hit costs.
    """
    if task.hw.llc is None or not _warm(task):
        return False
    work = step_work(task.step)
    bounds = attention_bounds_ns(work, task.step.formats, task.loaded, warm=False)
    return work.kv_bytes < 2 * task.hw.llc.capacity_mib * 2**20 and bounds["hbm"] > bounds["tensor"]


def run_attention(task: Task, record_order: bool = False, sampled: bool = False) -> AttentionRun:
    """Simulate the kernel with its best mapping.

    Where estimates favour a mapping that needs more SRAM, it is simulated too and taken if it really is faster.
    """
    addresses = build_address_map(task.step, task.workload.layout, task.workload.table_entry_bytes)
    choice = find_mapping(task, addresses)

    def run(candidate: Candidate) -> AttentionRun:
        if sampled and _samples(task, candidate):
            return _run_part(task, candidate, choice, addresses)
        return _run_whole(task, candidate, choice, addresses, record_order)

    best = run(choice.candidate)
    for contender in choice.contenders:
        other = run(contender)
        if other.outcome.time_ps >= best.outcome.time_ps:
            break
        best = other
    return best


def _run_whole(
    task: Task, candidate: Candidate, choice: Choice, addresses: AddressMap, record_order: bool
) -> AttentionRun:
    units = attention_units(task.step, candidate.cut)
    launches = build_launches(task, units, candidate.cut, addresses)
    options = RunOptions(
        how=task.workload.launch,
        warm=_warm(task),
        lost=_lost(task),
        record_order=record_order,
        zero_latency=_no_latency(task),
        regions=regions_for(task.hw.l2, task.step, addresses),
    )
    placement = task.workload.tier
    tiers = None
    if placement is not None:
        prefetch = placement.policy == "prefetch"
        tiers = plan_tiers(task.step, addresses, launches[0], task.loaded, prefetch=prefetch)
    hw = as_addressed(task.loaded, candidate.cut.profile)
    machine, totals = Machine(hw, launches, options, tiers), totals_of_launches(launches)
    kept = tuple(launches) if record_order else ()
    del launches  # the run needs the memory
    outcome = machine.run(task.step.formats)
    return AttentionRun(candidate, choice, units, kept, outcome, totals, tiers)


def _bound_ps(task: Task) -> float:
    """No run is faster than this."""
    bounds = kernel_bounds_ns(task.step, task.profiles, task.workload, task.loaded)
    return max(bounds.values()) * PS_PER_NS


def _run_whole_instead(
    task: Task, candidate: Candidate, choice: Choice, addresses: AddressMap
) -> AttentionRun:
    """A sample that is everything."""
    whole = _run_whole(task, candidate, choice, addresses, record_order=False)
    return replace(whole, sampling={"share": 1.0, "relative_ci95": 0.0, "pace": 1.0})


def _run_part(task: Task, candidate: Candidate, choice: Choice, addresses: AddressMap) -> AttentionRun:
    """Simulate a sample; a launch runs whole when it is small, when it replays just more than an LRU cache holds, of
    which a sample cannot tell what it finds, or when its estimate beats a bound and so is wrong."""
    cut = candidate.cut
    problem, units = problem_of(task, addresses, cut), attention_units(task.step, cut)
    problem = replace(problem, memory=replace(problem.memory, channels=True))
    grid = attention_grid_of(problem, units)
    plan = plan_sample(units, grid, cut, task.hw)
    if plan is None:
        return _run_whole_instead(task, candidate, choice, addresses)
    kernel = build_coarse(problem, units, grid)
    if is_past_lru(problem, kernel):
        return _run_whole_instead(task, candidate, choice, addresses)
    part = run_sampled(problem, kernel, units, plan)
    if part.time_ps < _bound_ps(task):
        return _run_whole_instead(task, candidate, choice, addresses)
    outcome = RunOutcome(round(part.time_ps), part.account, part.counters, np.empty(0, np.int64))
    sampling = {"share": part.share, "relative_ci95": part.relative_ci95, "pace": part.pace}
    return AttentionRun(candidate, choice, units, (), outcome, totals_of_coarse(kernel), sampling=sampling)
