"""What one change does, measured and predicted: pairs of rows that differ in nothing else.

An error beside silicon says how far a time is off. Whoever decides on a page size, a format or a kernel asks whether
the change pays: the ratio of two times, in which what both rows share (a clock, a bandwidth) mostly drops out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import fmean, median
from typing import NamedTuple

from sim.validation.errors import Prediction

Value = int | str

NUMBERS = ("batch", "context", "q_len", "q_heads", "kv_heads", "page_tokens")
"""Compared from one value to the next."""
NAMES = ("kv", "lengths", "kernel", "gpu")
"""Compared each with each."""
OF_ALL_SOURCES = ("kernel", "gpu")
"""One source has often one of them only. All other changes are compared within one source."""
BY_KERNEL = ("page_tokens", "kv")
"""Told apart by machine and kernel too: what they do depends on how the kernel addresses and expands."""
SEEN = 0.03
"""Equal bytes in two layouts differ by 2 to 3% in published data: a measured change below that has no direction."""
FEW = 8
"""Changes of one kind with at most so many pairs of values are told apart in the summary."""
WHOLE = "whole"
"""New tokens of a prefill without a cached context, which follow the context."""


class Setting(NamedTuple):
    """All that makes a row the measurement that it is, but for its value."""

    source: str
    gpu: str
    kernel: str
    phase: str
    batch: int
    context: int
    q_len: Value
    q_heads: int
    kv_heads: int
    head_dim: int
    page_tokens: int
    table: str
    kv: str
    lengths: str
    causal: str
    l2_state: str
    launch: str


@dataclass(frozen=True)
class Change:
    """Two rows that differ in `kind` only, from `before` to `after`; ratios of their times, after over before."""

    kind: str
    before: Value
    after: Value
    rows: tuple[Prediction, Prediction]

    @property
    def measured(self) -> float:
        return self.rows[1].case.time_us / self.rows[0].case.time_us

    @property
    def predicted(self) -> float:
        return self.rows[1].predicted_us / self.rows[0].predicted_us

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1


@dataclass(frozen=True)
class Trend:
    """Changes of one kind. same_way: of those whose measured effect can be told from noise (`told`), the share that is
    predicted in the same direction; None where there are none."""

    n: int
    measured: float
    """Median ratio."""
    predicted: float
    mape: float
    """Mean absolute relative error of the ratio."""
    told: int
    same_way: float | None


def setting(p: Prediction) -> Setting:
    row, shape, w = p.case.row, p.case.shape, p.case.workload
    return Setting(
        source=row.source,
        gpu=row.gpu,
        kernel=row.kernel,
        phase=row.phase,
        batch=shape.batch,
        context=shape.context,
        q_len=WHOLE if shape.q_len == shape.context else shape.q_len,
        q_heads=shape.q_heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        page_tokens=w.page_tokens,
        table=w.table_layout,
        kv=p.case.names.kv.kv_class,
        lengths="drawn" if shape.lengths else "equal",
        causal=str(shape.causal),
        l2_state=w.l2_state,
        launch=w.launch,
    )


def without(found: Setting, *keys: str) -> tuple[Value, ...]:
    """The cells of a setting, those of `keys` empty."""
    return tuple("" if key in keys else value for key, value in found._asdict().items())


def changes(predictions: Sequence[Prediction]) -> list[Change]:
    """All pairs, kind after kind, each kind in the order of the file. Of repeats the first counts."""
    first: dict[Setting, Prediction] = {}
    for p in predictions:
        first.setdefault(setting(p), p)
    return [change for kind in (*NUMBERS, *NAMES) for change in _of_kind(kind, first)]


def _of_kind(kind: str, known: Mapping[Setting, Prediction]) -> Iterator[Change]:
    free = (kind, "source") if kind in OF_ALL_SOURCES else (kind,)
    alike: dict[tuple[Value, ...], dict[Value, Prediction]] = {}
    for found, p in known.items():
        alike.setdefault(without(found, *free), {}).setdefault(getattr(found, kind), p)
    for members in alike.values():
        for before, after in _pairs(kind, list(members)):
            yield Change(kind, before, after, (members[before], members[after]))


def _pairs(kind: str, values: list[Value]) -> Iterator[tuple[Value, Value]]:
    """Neighbours of numbers, all pairs of names in alphabetical order (16bit is before fp8, int4 and int8)."""
    if kind in NUMBERS:
        return pairwise(sorted(v for v in values if isinstance(v, int)))
    return combinations(sorted(values, key=str), 2)


def trend(members: Sequence[Change]) -> Trend:
    """What changes of one kind amount to; `members` is not empty."""
    told = [c for c in members if abs(c.measured - 1) > SEEN]
    same = [(c.measured > 1) == (c.predicted > 1) for c in told]
    return Trend(
        n=len(members),
        measured=median(c.measured for c in members),
        predicted=median(c.predicted for c in members),
        mape=fmean(abs(c.error) for c in members),
        told=len(told),
        same_way=fmean(same) if same else None,
    )


def trends(found: Sequence[Change]) -> dict[str, dict[str, Trend]]:
    """By kind: `all`, each pair of values (`16 to 64`) where there are few of them, and by machine and kernel."""
    out: dict[str, dict[str, Trend]] = {}
    for kind in dict.fromkeys(c.kind for c in found):
        mine = [c for c in found if c.kind == kind]
        out[kind] = {"all": trend(mine)}
        values = sorted({(c.before, c.after) for c in mine}, key=lambda pair: tuple(_order(v) for v in pair))
        for before, after in values if len(values) <= FEW else []:
            of_pair = [c for c in mine if (c.before, c.after) == (before, after)]
            out[kind][f"{before} to {after}"] = trend(of_pair)
            owners = [_owner(c) for c in of_pair]
            for owner in dict.fromkeys(owners) if kind in BY_KERNEL else []:
                name = f"{before} to {after}, {owner}"
                out[kind][name] = trend([c for c, its in zip(of_pair, owners, strict=True) if its == owner])
    return out


def _owner(change: Change) -> str:
    row = change.rows[0].case.row
    return f"{row.gpu} / {row.kernel}"


def _order(value: Value) -> tuple[int, str]:
    return (value, "") if isinstance(value, int) else (0, value)
