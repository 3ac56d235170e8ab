"""Measured rows that a fit can evaluate: which ones, which are held back, and their simulated times at tile grain."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kernels_ref.trace import Step
from sim.attention_run import Task, estimate_ns, find_mapping
from sim.calibration.fit import Group
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.load import model_of
from sim.config.workload import Workload
from sim.errors import InputError
from sim.lowering.cut import Cut, profile_at
from sim.memory.addresses import AddressMap, build_address_map
from sim.sweep.progress import progress_for
from sim.validation.around import around_us
from sim.validation.cases import Mapped, Skipped
from sim.validation.overheads import group_of

US = 1e3
"""Nanoseconds."""
HELD_BACK_EVERY = 3
MakeStep = Callable[[Workload], Step]
Reference = Callable[[Hardware, Workload, KernelProfile], float]
"""Time of a launch in ns by a finer simulation than the one that a fit repeats."""


@dataclass(frozen=True)
class Evaluated:
    """A row, and all of its simulation that no fitted parameter changes: pages, addresses, how it is cut."""

    case: Mapped
    task: Task
    addresses: AddressMap
    cut: Cut
    scale: float = 1.0
    """A finer simulation over this one, at the starting values."""

    @property
    def group(self) -> Group:
        names = self.case.names
        return names.runtime.framework, names.gpu.hw, names.kv.kv_class

    @property
    def machine(self) -> str:
        """Shipped name."""
        return self.case.names.gpu.hw

    @property
    def profile(self) -> str:
        """Shipped name."""
        return self.case.names.kernel.profile

    def time_us(self, hw: Hardware, profile: KernelProfile) -> float:
        """Simulated time of the measured call with other parameters of the machine and the profile, without a
        framework's fixed overhead."""
        return self.attention_us(hw, profile) + around_us(self.case, hw)

    def attention_us(self, hw: Hardware, profile: KernelProfile) -> float:
        """The part of it that the attention kernel takes."""
        task = replace(self.task, hw=hw, profiles=[profile])
        cut = replace(self.cut, profile=profile_at(profile, self.task.step))
        return estimate_ns(task, self.addresses, cut) / US * self.scale


def aligned(row: Evaluated, reference: Reference | None) -> Evaluated:
    """The row with the fast model of attention scaled to what the finer one says at the starting values."""
    if reference is None:
        return row
    hw, profile = row.task.hw, row.task.profiles[0]
    fine_us = reference(hw, row.task.workload, profile) / US
    return replace(row, scale=row.scale * fine_us / row.attention_us(hw, profile))


def evaluated(case: Mapped, hw: Hardware, profile: KernelProfile, make_step: MakeStep) -> Evaluated | Skipped:
    """The row on this machine with this profile, or why it cannot be."""
    if profile.algorithm != "flash":
        return Skipped(case.row, f"kernel: no tile-grain model of {profile.name} ({profile.algorithm})")
    workload = case.workload.model_copy(update={"kernel": profile.name})
    try:
        step = make_step(workload)
        task = Task(hw, workload, model_of(workload).attention, step, [profile])
        addresses = build_address_map(step, workload.layout, workload.table_entry_bytes)
        cut = find_mapping(task, addresses).candidate.cut
    except InputError as error:
        return Skipped(case.row, f"simulation: {error.problems[0]}")
    return Evaluated(case, task, addresses, cut)


def usable(
    cases: Sequence[Mapped],
    machine_of: Callable[[Mapped], Hardware],
    profile_of: Callable[[Mapped], KernelProfile],
    make_step: MakeStep,
    reference: Reference | None,
) -> tuple[list[Evaluated], list[Skipped]]:
    """Those that can be evaluated, aligned, and the others; progress goes to standard error."""
    rows: list[Evaluated] = []
    dropped: list[Skipped] = []
    progress = progress_for(len(cases), "calibrate")
    try:
        for case in cases:
            row = evaluated(case, machine_of(case), profile_of(case), make_step)
            if isinstance(row, Skipped):
                dropped.append(row)
            else:
                rows.append(aligned(row, reference))
            progress.advance(ok=isinstance(row, Evaluated))
            progress.tick()
    finally:
        progress.close()
    return rows, dropped


def hold_back(cases: Sequence[Mapped]) -> tuple[list[Mapped], list[Mapped]]:
    """Rows to fit, and every third one in order of id, which no fit sees."""
    ordered = sorted(cases, key=lambda case: case.row.id)
    held = ordered[HELD_BACK_EVERY - 1 :: HELD_BACK_EVERY]
    kept = [case for place, case in enumerate(ordered, 1) if place % HELD_BACK_EVERY]
    return kept, held


def spread(
    cases: Sequence[Mapped], most: int, group: Callable[[Mapped], Hashable] = group_of
) -> list[Mapped]:
    """At most `most` rows of each group, spread evenly over their measured times."""
    groups: dict[Hashable, list[Mapped]] = defaultdict(list)
    for case in cases:
        groups[group(case)].append(case)
    out: list[Mapped] = []
    for members in groups.values():
        ordered = sorted(members, key=lambda case: (case.time_us, case.row.id))
        places = np.unique(np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int))
        out += [ordered[place] for place in places]
    return out
