"""The plan: what is measured, in which order, how long it should take and when it is given up.

Every section is a process of its own, so that a hang or a crash costs that section only. Cheap ones come
first: a run that is cut short still has them. Estimates are what an H100 with 16 host cores took.
"""

from dataclasses import dataclass
from typing import Literal

TOTAL_LIMIT_S = 480.0
BUILD_ESTIMATE_S = 15.0


@dataclass(frozen=True)
class Section:
    """One process: a `cuda` section is a binary of cuda/NAME.cu, a `torch` one runs in this interpreter."""

    name: str
    kind: Literal["cuda", "torch"]
    estimate_s: float
    limit_s: float
    measures: str


SECTIONS = (
    Section("properties", "cuda", 1, 20, "multiprocessors, L2, memory, clock"),
    Section("launch", "cuda", 1, 20, "launch overheads: stream, graph, between events, waves of blocks"),
    Section("exponent", "cuda", 1, 20, "2^x per clock and SM, single and packed half"),
    Section("unpack", "cuda", 1, 20, "INT4, INT8, FP8 to half: bit tricks and conversion instructions"),
    Section("overlap", "cuda", 1, 20, "mma.sync beside 2^x and multiply-adds: at the same time or in turn"),
    Section(
        "sram", "cuda", 1, 20, "shared-memory bytes per clock: 16 B loads, ldmatrix, stores, bank conflicts"
    ),
    Section(
        "chase", "cuda", 3, 70, "load latency over footprint (L1, L2, HBM), by SM (near, far), TLB reach"
    ),
    Section("stream", "cuda", 2, 45, "read, write and copy bandwidth over footprint, cold and warm L2"),
    Section(
        "inflight",
        "cuda",
        1,
        40,
        "HBM bandwidth against bytes in flight per SM: plain, cp.async, bulk copies",
    ),
    Section(
        "gather", "cuda", 1, 40, "random gather by run length 64 B to 64 KiB: plain, cp.async, bulk copies"
    ),
    Section(
        "block_table",
        "cuda",
        1,
        45,
        "block-table entry then page: latency of the pair, gather with and without",
    ),
    Section(
        "decode", "torch", 24, 160, "paged decode, own Triton kernel: batch x context x page x KV format"
    ),
    Section("library", "torch", 40, 90, "decode with what PyTorch offers: SDPA backends, flex_attention"),
    Section("prefill", "torch", 35, 80, "causal prefill: SDPA backends, flex_attention"),
    Section("gemm", "torch", 5, 40, "bf16 matrix products, 1 to 8192 rows"),
    Section("layout", "torch", 60, 120, "paged decode over the same bytes in other layouts, orders, pools"),
    Section("power", "torch", 40, 80, "what the board draws: idle, streams, products, decode"),
)


def chosen(names: list[str] | None) -> tuple[Section, ...]:
    """The sections called `names` (all for None) in plan order; ValueError names those that do not exist."""
    if names is None:
        return SECTIONS
    known = {section.name for section in SECTIONS}
    if wrong := [name for name in names if name not in known]:
        raise ValueError(
            f"no section called {', '.join(wrong)}; there are: {', '.join(s.name for s in SECTIONS)}"
        )
    return tuple(section for section in SECTIONS if section.name in names)


def limit_for(section: Section, elapsed_s: float, total_limit_s: float = TOTAL_LIMIT_S) -> float:
    """Seconds that the section may take; 0 says do not start it (under 5 there is no point)."""
    left = min(section.limit_s, total_limit_s - elapsed_s)
    return left if left >= 5.0 else 0.0


def plan_table(sections: tuple[Section, ...]) -> str:
    """The plan as text, one line a section, with the sum of the estimates."""
    needs_build = any(section.kind == "cuda" for section in sections)
    lines = [f"{'section':12} {'kind':6} {'about s':>8} {'limit s':>8}  measures"]
    if needs_build:
        lines.append(
            f"{'(build)':12} {'nvcc':6} {BUILD_ESTIMATE_S:8.0f} {'':8}  one binary per cuda/*.cu, in parallel"
        )
    lines += [f"{s.name:12} {s.kind:6} {s.estimate_s:8.0f} {s.limit_s:8.0f}  {s.measures}" for s in sections]
    total = sum(s.estimate_s for s in sections) + (BUILD_ESTIMATE_S if needs_build else 0.0)
    lines.append(f"{'total':12} {'':6} {total:8.0f} {TOTAL_LIMIT_S:8.0f}  nothing starts after the limit")
    return "\n".join(lines)
