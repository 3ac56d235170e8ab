"""The fixed time that a framework adds to each launch: shipped per framework, machine and KV class, or anchored.

It is not physics of the chip (graph nodes, query quantisation, timer), so it is kept apart from the simulated time.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sim.validation.cases import Mapped
from sim.validation.names import Overhead


@dataclass(frozen=True)
class Anchor:
    """The declared row of a group, which fixes the group's overhead and is left out of the errors."""

    case: Mapped
    overhead_us: float

    @property
    def group(self) -> tuple[str, str, str]:
        return group_of(self.case)


def group_of(case: Mapped) -> tuple[str, str, str]:
    """GPU, kernel and KV type as the file names them."""
    return case.row.gpu, case.row.kernel, case.row.kv_dtype


def shipped_overhead_us(case: Mapped, known: Sequence[Overhead], arch_of: Mapping[str, str]) -> float:
    """The value of the nearest family: mean over the first of these sets that is not empty.

    Same framework, machine and KV class; same framework and KV class on the same architecture, then anywhere;
    same framework; all fitted ones (a measured one is of a timer). 0 where nothing is known. `arch_of`: architecture by
    hardware config.
    """
    framework, kv, gpu = case.names.runtime.framework, case.names.kv.kv_class, case.names.gpu
    ours = [o for o in known if o.framework == framework]
    alike = [o for o in ours if o.kv == kv]
    near = [o for o in alike if arch_of.get(o.hw) == gpu.arch]
    exact = [o for o in alike if o.hw == gpu.hw]
    for found in (exact, near, alike, ours, [o for o in known if o.kind == "calibrated"]):
        if found:
            return fmean(o.overhead_us for o in found)
    return 0.0


def declare_anchors(cases: Sequence[Mapped]) -> list[Mapped]:
    """One row of each group of two measurements or more: a latency, decode, of the least KV, first in the file."""
    groups: dict[tuple[str, str, str], list[Mapped]] = defaultdict(list)
    for case in cases:
        groups[group_of(case)].append(case)
    out = []
    for group in groups.values():
        if len({_point(case) for case in group}) > 1:
            out.append(
                min(group, key=lambda c: (c.row.metric != "latency", c.row.phase != "decode", c.kv_bytes))
            )
    return out


def same_measurement(a: Mapped, b: Mapped) -> bool:
    """Two metrics of one run, or a repeat of it: the anchor's siblings would show no error of their own."""
    return group_of(a) == group_of(b) and a.row.source == b.row.source and _point(a) == _point(b)


def _point(case: Mapped) -> tuple[str, str]:
    """One simulated time is one point, whatever else the notes say of it; cold and warm replays are two."""
    return case.row.source, case.workload.model_dump_json()
