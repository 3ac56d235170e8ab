"""From a row of a truth file to a simulation: machine, workload, and what its value means as a time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice

from pydantic import ValidationError

from sim.config.context import MOST_SEQUENCES
from sim.config.hardware import Hardware
from sim.config.load import load_hardware
from sim.config.merge import Tree
from sim.config.schema_tree import schema_tree
from sim.config.translate import translated
from sim.config.workload import Workload
from sim.formats import token_bytes
from sim.memory.peaks import peak_gb_s
from sim.validation.lengths import Lengths, drawn_lengths
from sim.validation.measure import METRICS, Amounts, Measure, measure_of
from sim.validation.names import GpuName, Names, Recognised, recognise
from sim.validation.truth import COUNTS, LARGEST_COUNT, TruthRow

LATENT_DIMS = {576: 512, 288: 256}
"""Width of an MLA row to its value part: 512 + 64 rotary values (DeepSeek), 256 + 32 (MiniCPM3)."""
PHASES = {
    "decode": "",
    "prefill": "",
    "tier": "a transfer between tiers is not an attention kernel",
    "memory": "a memory micro-benchmark is not an attention kernel (pagewalk characterise runs those)",
}
SHAPE = ("batch", "q_heads", "kv_heads", "head_dim", "context")


@dataclass(frozen=True)
class Shape:
    """The attention problem of one launch."""

    batch: int
    q_heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    q_len: int
    context: int
    causal: bool
    lengths: tuple[int, ...]
    """[batch] tokens of each sequence; [0]: all have the context."""

    @property
    def tokens(self) -> int:
        """Of all sequences."""
        return sum(self.lengths) or self.batch * self.context

    @property
    def latent(self) -> bool:
        return self.value_dim != self.head_dim

    @property
    def scores(self) -> float:
        """Query-key pairs of one head, as benchmarks count them: half the square when causal."""
        hidden = self.q_len**2 / 2 if self.causal and self.q_len > 1 else 0.0
        return self.q_len * self.tokens - self.batch * hidden

    @property
    def flops(self) -> float:
        """Multiplications and additions of QK^T and PV over the launch."""
        return 2 * self.q_heads * self.scores * (self.head_dim + self.value_dim)

    def kv_bytes(self, kv_format: str) -> int:
        token = token_bytes(kv_format, self.kv_heads, self.head_dim, self.value_dim, latent=self.latent)
        return self.tokens * token

    def moved_bytes(self, kv_format: str) -> int:
        """KV, queries and outputs once, the 16-bit ones at two bytes: what published bandwidths count."""
        rows = self.batch * self.q_len * self.q_heads
        return self.kv_bytes(kv_format) + 2 * rows * (self.head_dim + self.value_dim)


@dataclass(frozen=True)
class Mapped:
    """A row that can be predicted."""

    row: TruthRow
    names: Recognised
    shape: Shape
    hw: Hardware
    workload: Workload
    measure: Measure

    @property
    def time_us(self) -> float:
        """The measured value as a time."""
        return self.measure.to_us(self.row.value)

    @property
    def kv_bytes(self) -> int:
        return self.shape.kv_bytes(str(self.names.kv.kv_format))

    @property
    def warm(self) -> bool:
        return self.workload.l2_state == "warm"


@dataclass(frozen=True)
class Skipped:
    """A row that is left out, and why."""

    row: TruthRow
    reason: str


class Machines:
    """Hardware configs by GPU entry, each loaded once; `use` names those to take in place of shipped ones."""

    def __init__(self, use: Mapping[str, str] | None = None) -> None:
        self._use = use or {}
        self._loaded: dict[str, Hardware] = {}

    def of(self, gpu: GpuName) -> Hardware:
        sets = tuple(f"hw.{path}={json.dumps(value)}" for path, value in gpu.set.items())
        key = f"{gpu.hw} {sets}"
        if key not in self._loaded:
            self._loaded[key] = load_hardware(self._use.get(gpu.hw, gpu.hw), sets).spec
        return self._loaded[key]


def map_row(row: TruthRow, names: Names, machines: Machines) -> Mapped | Skipped:
    """The case of a row, or the reason why there is none."""
    reason = _unfit(row)
    if reason:
        return Skipped(row, reason)
    if row.phase == "prefill" and row.q_len == 1:
        row = replace(row, phase="decode")  # as every framework takes it, whatever its benchmark calls it
    found = recognise(row, names)
    if isinstance(found, str):
        return Skipped(row, found)
    shape = _shape(row, found.runtime.lengths)
    if isinstance(shape, str):
        return Skipped(row, shape)
    hw = machines.of(found.gpu)
    measure = measure_of(row.metric, row.unit, _amounts(shape, found, hw))
    if isinstance(measure, str):
        return Skipped(row, measure)
    try:
        profile = names.use.get(found.kernel.profile, found.kernel.profile)
        workload = _workload(row, found, shape, profile, _l2_state(found, shape, hw))
    except ValidationError as error:
        problems = translated(error, Tree(row.id, {}), schema_tree(Workload))
        detail = "; ".join(f"{problem.key}: {problem.text}" for problem in islice(problems, 2))
        return Skipped(row, f"shape: {detail}")
    return Mapped(row, found, shape, hw, workload, measure)


def _unfit(row: TruthRow) -> str:
    """Why a row is no measurement of one attention kernel of known shape; nothing when it is."""
    if row.phase not in PHASES:
        return f"phase: {row.phase!r} is not known; known: {', '.join(PHASES)}"
    if PHASES[row.phase]:
        return f"phase: {PHASES[row.phase]}"
    if row.metric not in METRICS:
        return f"metric: {row.metric!r} is not the time or rate of one kernel; known: {', '.join(METRICS)}"
    if row.value <= 0:
        return f"value: {row.value} is not positive"
    for key in COUNTS:
        count = getattr(row, key)
        if count is not None and not 0 < count <= LARGEST_COUNT:
            return f"shape: {key}: found {count:.6g}; allowed: 1 to {LARGEST_COUNT}"
    missing = [key for key in SHAPE if getattr(row, key) is None]
    if row.phase == "prefill" and row.q_len is None:
        missing.append("q_len")
    return f"shape: the source does not state {', '.join(missing)}" if missing else ""


def _shape(row: TruthRow, kind: Lengths) -> Shape | str:
    q_len = row.q_len or 1
    batch, q_heads, kv_heads, head_dim, context = (int(getattr(row, key)) for key in SHAPE)
    if q_heads % kv_heads:
        return f"kv_heads: {kv_heads} does not divide {q_heads} query heads"
    if q_len > context:
        return f"q_len: {q_len} new tokens in a context of {context}"
    if row.phase == "prefill" and row.causal is None:
        return "causal: the source does not state it, and it doubles the work"
    latent = row.phase == "decode" and kv_heads == 1
    value_dim = LATENT_DIMS.get(head_dim, head_dim) if latent else head_dim
    varied = row.phase == "decode" and batch <= MOST_SEQUENCES
    lengths = drawn_lengths(kind, batch, context, q_len) if varied else ()
    return Shape(
        batch, q_heads, kv_heads, head_dim, value_dim, q_len, context, row.causal is not False, lengths
    )


def _amounts(shape: Shape, found: Recognised, hw: Hardware) -> Amounts:
    rates = hw.sm.tensor_flop_per_clk
    peak = rates.get("fp8" if found.kv.kv_class == "fp8" else "fp16", max(rates.values()))
    return Amounts(
        moved_bytes=shape.moved_bytes(str(found.kv.kv_format)),
        flops=shape.flops,
        peak_gb_s=peak_gb_s(hw.hbm),
        peak_tflop_s=peak * hw.sm.clock_ghz * hw.sm.count / 1e3,
    )


def _l2_state(found: Recognised, shape: Shape, hw: Hardware) -> str:
    """What L2 holds before a launch: of buffers that are used in turn all, if they fit together."""
    runtime = found.runtime
    held = hw.l2.capacity_mib * 2**20 * hw.l2.effective_fraction
    kv_bytes = shape.kv_bytes(str(found.kernel.kv_format or found.kv.kv_format))
    fits = 0 < runtime.buffers * kv_bytes <= held
    return "warm" if runtime.l2_state == "rotated" and fits else runtime.l2_state


def _workload(row: TruthRow, found: Recognised, shape: Shape, profile: str, l2_state: str) -> Workload:
    """One launch with the row's shape. Raises ValidationError for shapes outside the schema's bounds."""
    runtime = found.runtime
    one_piece = runtime.one_piece and row.page_size is None and runtime.page_order == "sequential"
    phase = "verify" if row.phase == "decode" and shape.q_len > 1 else row.phase
    model = {
        "layers": 1,
        "q_heads": shape.q_heads,
        "kv_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "value_dim": shape.value_dim,
        "hidden": shape.q_heads * shape.head_dim,
        "ffn": 8,
        "vocab": 1,
        "attention": "mla" if shape.latent else "gqa",
    }
    return Workload.model_validate(
        {
            "name": f"{phase}_{shape.batch}x{shape.context}",
            "kind": "kernel",
            "model": model,
            "phase": phase,
            "batch": shape.batch,
            "context": list(shape.lengths) or shape.context,
            "q_len": shape.q_len,
            "kv_format": found.kernel.kv_format or found.kv.kv_format,
            "page_tokens": row.page_size or runtime.page_tokens,
            "layout": found.kernel.layout or runtime.layout,
            "page_order": runtime.page_order,
            "table_layout": "none" if one_piece else "flat",
            "kernel": profile,
            "l2_state": l2_state,
            "causal": shape.causal,
            "launch": runtime.launch,
        }
    )
