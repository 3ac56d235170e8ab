"""How well and how fast `--fidelity sampled` predicts full runs: 60 points, each run both ways.

    python benchmarks/bench_sampled.py [--only TEXT]... [--truth FILE]

Asked: within 2% of full on 95% of the points, the stated interval covering the truth on 90%, sampled in 0.5 s or less.
--only: points whose name contains TEXT. --truth: a JSON file of full times in ns by point; what it lacks is run and
added, so that work on the sampling alone need not repeat the full runs (a changed machine or kernel voids the file).

The machines, kernels and shapes are those that sampling can get wrong: L2 cold and warm at 0.8 to 1.5 times its
capacity, prefixes shared by all, ragged batches, pages of one token, prefill, one sequence and many. Wall time is that
of the second of two sampled runs in this process (the first loads compiled code), and of the only full one.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sim.cli.job import run_named
from sim.result import Result

MOST_ERROR, MOST_SECONDS = 0.02, 0.5
SHARE_WITHIN, SHARE_COVERED = 0.95, 0.90


@dataclass(frozen=True)
class Point:
    """A kernel on a machine; `sets` are overrides of the workload `base`, without their prefix."""

    hardware: str
    kernel: str
    sets: str
    base: str = "decode_16x8k"

    @property
    def name(self) -> str:
        return f"{self.hardware} {self.kernel} {self.base} {self.sets}".strip()

    @property
    def overrides(self) -> tuple[str, ...]:
        return (f"workload.kernel={self.kernel}", *(f"workload.{item}" for item in self.sets.split()))


H100, A100, B200, H200, L40S, PRO = (
    "h100_sxm",
    "a100_sxm_80gb",
    "b200",
    "h200_sxm",
    "l40s",
    "rtx_pro_6000_server",
)
WARM = "l2_state=warm"

POINTS = (
    Point(H100, "fa3", "batch=1 context=65536"),
    Point(H100, "fa3", ""),
    Point(H100, "fa3", "batch=64 context=2048"),
    Point(H100, "fa3", "batch=256 context=1024"),
    Point(H100, "fa3", f"batch=5 context=2048 {WARM}"),
    Point(H100, "fa3", f"batch=6 context=2048 {WARM}"),
    Point(H100, "fa3", f"batch=2 context=8192 {WARM}"),
    Point(H100, "fa3", f"batch=9 context=2048 {WARM}"),
    Point(H100, "fa3", f"batch=16 context=4096 {WARM}"),
    Point(H100, "fa3", "batch=32 context=4096 shared_prefix=2048"),
    Point(H100, "fa3_sglang", "batch=16 context=4096 page_tokens=1"),
    Point(H100, "fa3_sglang", f"batch=8 context=8192 page_tokens=1 {WARM}"),
    Point(H100, "fa3_fp8", "batch=32 context=8192 kv_format=fp8_e4m3"),
    Point(H100, "fa3", "", "decode_chat"),
    Point(H100, "fa3_prefill", "batch=1 context=2048 q_len=2048", "prefill_4k"),
    Point(H100, "fa3_prefill", "batch=1 context=4096 q_len=4096", "prefill_4k"),
    Point(H100, "fa3_prefill", f"batch=4 context=1024 q_len=1024 {WARM}", "prefill_4k"),
    Point(H100, "flashmla", "batch=16 context=4096", "decode_mla"),
    Point(H100, "flashmla", f"batch=32 context=4096 {WARM}", "decode_mla"),
    Point(A100, "fa2", "batch=16 context=4096"),
    Point(A100, "fa2", f"batch=4 context=2048 {WARM}"),
    Point(A100, "fa2", f"batch=6 context=2048 {WARM}"),
    Point(A100, "fa2", "batch=128 context=1024"),
    Point(A100, "fa2", "batch=32 context=uniform:512..4096"),
    Point(A100, "flashinfer", "batch=32 context=4096 page_tokens=16"),
    Point(A100, "flashinfer", f"batch=16 context=2048 page_tokens=1 {WARM}"),
    Point(A100, "fa2_prefill", "batch=1 context=2048 q_len=2048", "prefill_4k"),
    Point(A100, "flashinfer_prefill", "batch=2 context=2048 q_len=2048", "prefill_4k"),
    Point(B200, "trtllm_gen", ""),
    Point(B200, "trtllm_gen", WARM),
    Point(B200, "trtllm_gen", f"batch=12 context=2048 {WARM}"),
    Point(B200, "trtllm_gen", f"batch=8 context=4096 {WARM}"),
    Point(B200, "trtllm_gen", f"batch=10 context=4096 {WARM}"),
    Point(B200, "trtllm_gen", "batch=256 context=1024"),
    Point(B200, "trtllm_gen", "batch=64 context=4096 shared_prefix=2048"),
    Point(B200, "trtllm_gen", "batch=64 context=uniform:512..8192"),
    Point(B200, "trtllm_gen_fp8", "batch=64 context=4096 kv_format=fp8_e4m3"),
    Point(B200, "trtllm_gen_prefill", "batch=1 context=4096 q_len=4096", "prefill_4k"),
    Point(B200, "flashinfer", "batch=32 context=4096 page_tokens=1"),
    Point(H200, "fa3", "batch=32 context=8192"),
    Point(H200, "fa3", f"batch=7 context=2048 {WARM}"),
    Point(H200, "fa3", f"batch=64 context=1024 {WARM}"),
    Point(H200, "fa3", "batch=48 context=uniform:256..8192 page_tokens=16"),
    Point(H200, "flashinfer", ""),
    Point(H200, "xqa", "batch=32 context=4096 page_tokens=32"),
    Point(H200, "fa3_sglang", "batch=64 context=2048 page_tokens=1"),
    Point(H200, "fa3_prefill", "batch=2 context=2048 q_len=2048", "prefill_4k"),
    Point(L40S, "fa2", "batch=16 context=4096"),
    Point(L40S, "fa2", f"batch=10 context=2048 {WARM}"),
    Point(L40S, "fa2", f"batch=12 context=2048 {WARM}"),
    Point(L40S, "fa2", f"batch=16 context=2048 {WARM}"),
    Point(L40S, "fa2", f"batch=16 context=8192 {WARM}"),
    Point(L40S, "flashinfer", "batch=24 context=uniform:1024..8192"),
    Point(L40S, "xqa", f"batch=9 context=4096 page_tokens=32 {WARM}"),
    Point(L40S, "fa2_prefill", "batch=1 context=2048 q_len=2048", "prefill_4k"),
    Point(PRO, "fa2", "batch=16 context=4096"),
    Point(PRO, "fa2", f"batch=12 context=2048 {WARM}"),
    Point(PRO, "flashinfer", f"batch=9 context=4096 {WARM}"),
    Point(PRO, "flashinfer", "batch=64 context=2048 page_tokens=1 shared_prefix=1024"),
    Point(PRO, "fa2", "batch=128 context=1024"),
)


@dataclass(frozen=True)
class Row:
    """A point run both ways. error and interval: relative; seconds: wall time of the sampled run."""

    name: str
    sampled_ns: float
    full_ns: float
    interval: float
    share: float
    seconds: float

    @property
    def error(self) -> float:
        return self.sampled_ns / self.full_ns - 1

    @property
    def covered(self) -> bool:
        return abs(self.error) <= self.interval or self.sampled_ns == self.full_ns


def simulate(point: Point, fidelity: str) -> Result:
    sets = tuple(item.replace("uniform:", "{uniform: [").replace("..", ", ") for item in point.overrides)
    sets = tuple(item + "]}" if "uniform" in item else item for item in sets)
    return run_named(point.base, point.hardware, sets, fidelity=fidelity, seed=0, what_if=False, verify=False)


def full_ns(point: Point, truth: dict[str, float]) -> float:
    if point.name not in truth:
        truth[point.name] = simulate(point, "full").time_ns
    return truth[point.name]


def measure(point: Point, truth: dict[str, float]) -> Row:
    """Run a point both ways."""
    simulate(point, "sampled")
    started = time.perf_counter()
    result = simulate(point, "sampled")
    seconds = time.perf_counter() - started
    sampling: Mapping[str, float] = result.sampling
    return Row(
        point.name,
        result.time_ns,
        full_ns(point, truth),
        sampling["relative_ci95"],
        sampling["share"],
        seconds,
    )


def as_line(row: Row) -> str:
    times = f"{row.sampled_ns / 1000:9.1f} {row.full_ns / 1000:9.1f} {row.error:+7.2%} {row.interval:6.2%}"
    missed = "" if abs(row.error) <= MOST_ERROR else "  error"
    missed += "" if row.covered else "  interval"
    missed += "" if row.seconds <= MOST_SECONDS else "  slow"
    return f"{row.name:76} {times} {row.share:6.1%} {row.seconds:6.2f}{missed}"


def summary(rows: list[Row]) -> tuple[list[str], bool]:
    """The lines that say what was asked and what was seen, and whether all was met."""
    within = statistics.mean(abs(row.error) <= MOST_ERROR for row in rows)
    covered = statistics.mean(row.covered for row in rows)
    slowest = max(row.seconds for row in rows)
    lines = [
        f"within {MOST_ERROR:.0%}: asked {SHARE_WITHIN:.0%} of points, seen {within:.0%}",
        f"interval covers: asked {SHARE_COVERED:.0%} of points, seen {covered:.0%}",
        f"slowest sampled run: asked {MOST_SECONDS:g} s, seen {slowest:.2f} s"
        f" (median {statistics.median(row.seconds for row in rows):.2f} s)",
    ]
    return lines, within >= SHARE_WITHIN and covered >= SHARE_COVERED and slowest <= MOST_SECONDS


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", default=[], help="points whose name contains this text")
    parser.add_argument("--truth", type=Path, help="JSON file of full times in ns, read and added to")
    options = parser.parse_args()
    stored = options.truth is not None and options.truth.exists()
    truth: dict[str, float] = json.loads(options.truth.read_text()) if stored else {}
    print(f"{'':76} {'sampled':>9} {'full us':>9} {'error':>7} {'+-':>6} {'share':>6} {'s':>6}")
    rows: list[Row] = []
    for point in POINTS:
        if options.only and not any(text in point.name for text in options.only):
            continue
        rows.append(measure(point, truth))
        print(as_line(rows[-1]), flush=True)
        if options.truth is not None:
            options.truth.write_text(json.dumps(truth, indent=1))
    lines, met = summary(rows)
    print("\n".join(lines))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
