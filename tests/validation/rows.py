"""One row of a truth file, from which tests make others, and what it means with the shipped names."""

from dataclasses import replace

from sim.validation.cases import Machines, Mapped, map_row
from sim.validation.names import shipped_names
from sim.validation.truth import TruthRow

ROW = TruthRow(
    id="r-1",
    source="NVIDIA AIConfigurator silicon database",
    gpu="H100-SXM5-80GB",
    kernel="vLLM FlashAttention-3",
    phase="decode",
    kv_dtype="bf16",
    metric="latency",
    unit="us",
    notes="",
    batch=1,
    q_heads=32,
    kv_heads=8,
    head_dim=128,
    q_len=1,
    context=1024,
    page_size=None,
    causal=None,
    value=10.0,
)


def mapped_row(**cells: object) -> Mapped:
    """The case of ROW with other cells; it must be one that can be predicted."""
    case = map_row(replace(ROW, **cells), shipped_names(), Machines())
    assert isinstance(case, Mapped), case
    return case
