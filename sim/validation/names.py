"""The names that truth files use, as data: which machine, which implementation, how it was measured.

Patterns are regular expressions, searched anywhere in the cell, in any case; the first entry that matches
decides. Before that, other spellings of kernels' names are replaced by the one that the patterns use. What must
be left out says so in `skip`, with the reason that the report shows.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from sim.config.catalog import Found, shipped, shown_path
from sim.config.fields import Float, Int, Section
from sim.config.hardware import KvFormat
from sim.config.load import resolved_plain
from sim.config.merge import Tree, overlay
from sim.config.runtime import Pointwise
from sim.config.yaml_source import LOADER, read_document
from sim.errors import InputError
from sim.validation.lengths import DRAWN, Lengths
from sim.validation.truth import TruthRow

Architecture = Literal["ampere", "ada", "hopper", "blackwell", "blackwell_rtx", "cdna3", "cdna4", ""]
KvClass = Literal["16bit", "fp8", "int8", "int4"]
L2State = Literal["cold", "warm", "rotated"]
REPLAYED = (
    "warm: the same buffers every time; rotated: others in turn, so that code stays in L2 and data do not"
)


NO_CONFIG = (
    "no hardware config by this name; allowed: chips of gpus.yaml and shipped configs, of which `use:` in a file for "
    "--overheads replaces one by yours"
)


class GpuName(Section):
    """A machine: a shipped config, with overrides where it stands in for a near relative."""

    gpu: str = Field(description="pattern of the gpu column")
    hw: str = Field(default="", description="shipped hardware config")
    arch: Architecture = Field(default="", description="what kernels are chosen by")
    set: dict[str, Any] = Field(default_factory=dict, description="overrides of the config")
    skip: str = Field(default="", description="why such rows cannot be predicted")


class KvName(Section):
    """A storage type: the format that is simulated, and the class that kernels are chosen by."""

    kv_dtype: str = Field(description="pattern of the whole kv_dtype column")
    kv_format: KvFormat = Field(default="fp16", description="format that is simulated")
    kv_class: KvClass = Field(default="16bit", description="what kernels and overheads are chosen by")
    skip: str = Field(default="", description="why such rows cannot be predicted")


class Beside(Pointwise):
    """One kernel that the measured call runs beside attention, and when it does."""

    phase: Literal["prefill", "decode"] = Field(
        default="prefill", description="of its call; decode: of one new token a sequence"
    )
    least_group: Int = Field(default=1, ge=1, description="least query heads per KV head")
    least_kv_heads: Int = Field(default=1, ge=1, description="least KV heads")


class Runtime(Section):
    """Who ran the kernel: how pages lie and how it was timed."""

    kernel: str = Field(default="", description="pattern of the kernel column")
    gpu: str = Field(default="", description="pattern of the gpu column")
    source: str = Field(default="", description="pattern of the source column")
    notes: str = Field(default="", description="pattern of the notes column")
    kv: list[str] = Field(default_factory=list, description="KV classes; none: all")
    batch: list[Int] = Field(default_factory=list, description="sequences; none: any number")
    framework: str = Field(description="owner of the fixed overhead")
    layout: Literal["HND", "NHD"] = Field(default="NHD", description="order in a page")
    page_order: Literal["sequential", "shuffled"] = Field(default="sequential", description="of a sequence")
    page_tokens: Int = Field(default=64, ge=1, description="where the row does not state it")
    one_piece: bool = Field(
        default=False,
        description="K and V of a sequence lie in one piece, without a block table, where the row states no page size",
    )
    l2_state: L2State = Field(default="warm", description=REPLAYED)
    buffers: Int = Field(
        default=0,
        ge=0,
        description="rotated: in how many; they are warm where L2 holds them all. 0: more than that",
    )
    launch: Literal["graph", "stream", "none"] = Field(default="graph", description="how it is launched")
    lengths: Lengths = Field(default="equal", description=DRAWN)
    around: list[Beside] = Field(
        default_factory=list, description="kernels that the measured call runs beside attention"
    )


class Alias(Section):
    """Another spelling of a kernel's name."""

    kernel: str = Field(description="pattern of what is replaced in the kernel column")
    name: str = Field(description="what the rules call it; groups of the pattern may stand in it")


class KernelName(Section):
    """An implementation: the kernel profile that imitates it."""

    kernel: str = Field(description="pattern of the kernel column")
    source: str = Field(default="", description="pattern of the source column")
    notes: str = Field(default="", description="pattern of the notes column")
    phase: list[str] = Field(default_factory=list, description="phases; none: any")
    arch: list[Architecture] = Field(default_factory=list, description="architectures; none: any")
    kv: list[KvClass] = Field(default_factory=list, description="storage classes; none: any")
    q_heads: list[Int] = Field(default_factory=list, description="query heads; none: any")
    kv_heads: list[Int] = Field(default_factory=list, description="KV heads; none: any")
    head_dim: list[Int] = Field(default_factory=list, description="head dimensions; none: any")
    group: list[Int] = Field(default_factory=list, description="query heads per KV head; none: any")
    least_grid: Int = Field(default=0, ge=0, description="least sequences x KV heads")
    same_heads: bool | None = Field(default=None, description="true: only where q_heads equals kv_heads")
    several_tokens: bool | None = Field(
        default=None, description="true: only where a sequence has more than one new token"
    )
    profile: str = Field(default="", description="shipped kernel profile")
    kv_format: KvFormat | None = Field(default=None, description="what is read and multiplied in fact")
    layout: Literal["HND", "NHD"] | None = Field(
        default=None, description="order in a page that the kernel needs"
    )
    skip: str = Field(default="", description="why such rows cannot be predicted")


class Timing(Section):
    """What the notes say of how a row was measured, in place of what is known of its framework."""

    notes: str = Field(description="pattern of the notes column")
    l2_state: L2State | None = Field(default=None, description=REPLAYED)
    launch: Literal["graph", "stream", "none"] | None = Field(default=None, description="how it is launched")
    framework: str | None = Field(default=None, description="owner of the fixed overhead")
    page_order: Literal["sequential", "shuffled"] | None = Field(default=None, description="of a sequence")
    lengths: Lengths | None = Field(default=None, description=DRAWN)

    def applied(self, runtime: Runtime) -> Runtime:
        given = self.model_dump(exclude={"notes"}, exclude_none=True)
        return runtime.model_copy(update=given)


class Overhead(Section):
    """Time that a framework adds to every launch of a group: no physics of the chip."""

    framework: str
    hw: str
    kv: KvClass
    overhead_us: Float = Field(ge=0, le=1000, description="added to the simulated time")
    kind: Literal["calibrated", "measured"] = "calibrated"
    ref: str = Field(min_length=1, description="what it was fitted to, or how it was measured")


class Calibration(Section):
    """What `pagewalk calibrate` writes beside its configs."""

    overheads: list[Overhead] = Field(default_factory=list)
    use: dict[str, str] = Field(
        default_factory=dict, description="configs and profiles (paths) in place of shipped ones, by name"
    )


class Names(Calibration):
    """All tables of one file or more."""

    gpus: list[GpuName] = Field(default_factory=list)
    kv_dtypes: list[KvName] = Field(default_factory=list)
    runtimes: list[Runtime] = Field(default_factory=list)
    timings: list[Timing] = Field(default_factory=list)
    aliases: list[Alias] = Field(default_factory=list)
    kernels: list[KernelName] = Field(default_factory=list)
    stand_ins: list[KernelName] = Field(default_factory=list)
    """What is asked where no rule of `kernels` knows a name: profiles of the class that most kernels are of."""

    @property
    def without_stand_ins(self) -> "Names":
        """For fits: what is learnt of a profile must come from the kernel that it imitates."""
        return self.model_copy(update={"stand_ins": []})

    @property
    def arch_of(self) -> dict[str, str]:
        """Architecture by hardware config."""
        return {gpu.hw: gpu.arch for gpu in self.gpus}


@dataclass(frozen=True)
class Recognised:
    """What the names of one row mean."""

    gpu: GpuName
    kv: KvName
    runtime: Runtime
    kernel: KernelName
    stands_in: bool = False
    """Whether the profile is of another kernel, since this one is not known."""


@cache
def shipped_names() -> Names:
    """The tables in `sim/validation/data`."""
    folder = resources.files("sim.validation") / "data"
    tables: dict[str, Any] = {}
    for name in ("gpus.yaml", "kernels.yaml", "runtimes.yaml", "overheads.yaml"):
        tables |= yaml.load((folder / name).read_text(encoding="utf-8"), Loader=LOADER)
    return Names.model_validate(tables)


def with_calibration(names: Names, path: Path) -> Names:
    """The tables with what `pagewalk calibrate` wrote: its overheads replace those of the same framework, machine
    and KV class, its configs stand in for shipped ones. Raises InputError for a file that is no such table, for names
    that are none of ours, and for two overheads of one owner."""
    found = Found(path, shown_path(path))
    tree = Tree(found.shown, {})
    overlay(tree, read_document(found.path, found.shown, "a mapping with overheads and use"))
    own = resolved_plain(Calibration, tree, found).spec
    _check_names(own, names, found.shown)
    replaced = {_owner(o) for o in own.overheads}
    kept = [o for o in names.overheads if _owner(o) not in replaced]
    use = {name: str(path.parent / given) for name, given in own.use.items()}
    return names.model_copy(update={"overheads": [*own.overheads, *kept], "use": names.use | use})


def _check_names(own: Calibration, names: Names, shown: str) -> None:
    machines = shipped("hardware")
    frameworks = sorted(
        {r.framework for r in names.runtimes} | {t.framework for t in names.timings if t.framework}
    )
    replaceable = [*machines, *shipped("kernel profile")]
    wanted = [(f"use.{name}", name, replaceable) for name in own.use]
    for number, o in enumerate(own.overheads):
        wanted += [
            (f"overheads[{number}].framework", o.framework, frameworks),
            (f"overheads[{number}].hw", o.hw, machines),
        ]
    problems = [
        f"{shown}: {key}: found {name!r}; allowed: {', '.join(of)}"
        for key, name, of in wanted
        if name not in of
    ]
    twice = [owner for owner, count in Counter(map(_owner, own.overheads)).items() if count > 1]
    problems += [f"{shown}: overheads: found two of {', '.join(owner)}; allowed: one" for owner in twice]
    if problems:
        raise InputError(*problems)


def _owner(overhead: Overhead) -> tuple[str, str, str]:
    return overhead.framework, overhead.hw, overhead.kv


def recognise(row: TruthRow, names: Names) -> Recognised | str:
    """The meaning of a row's names, or why it has none."""
    gpu = next((g for g in names.gpus if _found(g.gpu, row.gpu)), None)
    if gpu is None or gpu.skip:
        return f"gpu: {row.gpu!r}: {gpu.skip if gpu else NO_CONFIG}"
    kv = next((k for k in names.kv_dtypes if re.fullmatch(k.kv_dtype, row.kv_dtype, re.IGNORECASE)), None)
    if kv is None or kv.skip:
        return f"kv_dtype: {row.kv_dtype!r}: {kv.skip if kv else 'no KV format is known by this name'}"
    known = replace(row, kernel=with_known_spelling(row.kernel, names.aliases))
    kernel = next((k for k in names.kernels if _is_kernel(k, known, gpu, kv)), None)
    stands_in = kernel is None
    if stands_in:
        kernel = next((k for k in names.stand_ins if _is_kernel(k, known, gpu, kv)), None)
    runtime = next((r for r in names.runtimes if _is_runtime(r, known, kv)), None)
    if kernel is None or kernel.skip or runtime is None:
        return f"kernel: {row.kernel!r}: {_unknown_kernel(kernel, row, gpu)}"
    for timing in names.timings:
        if _found(timing.notes, row.notes):
            runtime = timing.applied(runtime)
    return Recognised(gpu, kv, runtime, kernel, stands_in)


def with_known_spelling(kernel: str, aliases: Iterable[Alias]) -> str:
    """A kernel's name as the rules spell it."""
    for alias in aliases:
        kernel = re.sub(alias.kernel, alias.name, kernel, flags=re.IGNORECASE)
    return kernel


def _unknown_kernel(kernel: KernelName | None, row: TruthRow, gpu: GpuName) -> str:
    if kernel is None:
        return (
            f"no kernel profile by this name for {row.phase} on {gpu.arch or gpu.hw} with {row.kv_dtype} KV"
        )
    return kernel.skip or "nothing is known of how it keeps its pages"


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


def _texts_match(rule: Runtime | KernelName, row: TruthRow) -> bool:
    pairs = ((rule.kernel, row.kernel), (rule.source, row.source), (rule.notes, row.notes))
    return all(_found(pattern, text) for pattern, text in pairs)


def _allowed(members: Iterable[tuple[Sequence[object], object]]) -> bool:
    """Whether each value is among those that a rule names, if it names any."""
    return all(not named or value in named for named, value in members)


def _is_runtime(rule: Runtime, row: TruthRow, kv: KvName) -> bool:
    members = ((rule.kv, kv.kv_class), (rule.batch, row.batch))
    return _texts_match(rule, row) and _found(rule.gpu, row.gpu) and _allowed(members)


def _is_kernel(rule: KernelName, row: TruthRow, gpu: GpuName, kv: KvName) -> bool:
    if not _texts_match(rule, row):
        return False
    members = (
        (rule.phase, row.phase),
        (rule.arch, gpu.arch),
        (rule.kv, kv.kv_class),
        (rule.q_heads, row.q_heads),
        (rule.kv_heads, row.kv_heads),
        (rule.head_dim, row.head_dim),
        (rule.group, (row.q_heads or 0) / (row.kv_heads or 1)),
    )
    if not _allowed(members):
        return False
    if rule.least_grid and (row.batch or 0) * (row.kv_heads or 0) < rule.least_grid:
        return False
    several = (row.q_len or 1) > 1
    flags = ((rule.same_heads, row.q_heads == row.kv_heads), (rule.several_tokens, several))
    return all(wanted in (None, is_so) for wanted, is_so in flags)
