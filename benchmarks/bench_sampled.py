"""How well and how fast `--fidelity sampled` predicts full runs: 60 points, each run both ways.

    python benchmarks/bench_sampled.py [--grid design|second|third|random] [--seed N] [--only TEXT]... [--truth FILE]

Asked: within 2% of full on 95% of the points, the stated interval covering the truth on 90%, sampled in 0.5 s or less.
--grid: the points that the sampling was made with, 60 others, 17 that those lack (look-ups of few KV heads over pages
of one token, short CTAs in many waves), or 30 drawn at random (--seed). --only: points whose name contains TEXT.
--truth: a JSON file of full times in ns by point; what it lacks is run and added, so that work on the sampling alone
need not repeat the full runs (a changed machine or kernel voids the file).

The machines, kernels and shapes are those that sampling can get wrong: L2 cold and warm at 0.8 to 1.5 times its
capacity, prefixes shared by all, ragged batches, pages of one token, prefill, one sequence and many. Seconds are CPU
time of the second of two sampled runs in this process (the first loads compiled code).
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sampled_points import DESIGN, SECOND, THIRD, Point, random_points

from sim.cli.job import run_named
from sim.result import Result

MOST_ERROR, MOST_SECONDS = 0.02, 0.5
SHARE_WITHIN, SHARE_COVERED = 0.95, 0.90


@dataclass(frozen=True)
class Row:
    """A point run both ways. error and interval: relative; seconds: CPU time of the sampled run."""

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
    return run_named(
        point.base,
        point.hardware,
        sets,
        fidelity=fidelity,
        seed=point.seed,
        what_if=False,
        verify=False,
    )


def full_ns(point: Point, truth: dict[str, float]) -> float:
    if point.name not in truth:
        truth[point.name] = simulate(point, "full").time_ns
    return truth[point.name]


def measure(point: Point, truth: dict[str, float]) -> Row:
    """Run a point both ways."""
    simulate(point, "sampled")
    started = time.process_time()
    result = simulate(point, "sampled")
    seconds = time.process_time() - started
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
    parts = [row for row in rows if row.share < 1]
    within_parts = statistics.mean(abs(row.error) <= MOST_ERROR for row in parts) if parts else 1.0
    lines = [
        f"{len(rows)} points, of which {len(parts)} ran in part: {within_parts:.0%} of those within {MOST_ERROR:.0%}",
        f"within {MOST_ERROR:.0%}: asked {SHARE_WITHIN:.0%} of points, seen {within:.0%}",
        f"interval covers: asked {SHARE_COVERED:.0%} of points, seen {covered:.0%}",
        f"slowest sampled run: asked {MOST_SECONDS:g} s, seen {slowest:.2f} s"
        f" (median {statistics.median(row.seconds for row in rows):.2f} s)",
    ]
    return lines, within >= SHARE_WITHIN and covered >= SHARE_COVERED and slowest <= MOST_SECONDS


def points_of(grid: str, seed: int) -> tuple[Point, ...]:
    return {"design": DESIGN, "second": SECOND, "third": THIRD}.get(grid) or random_points(seed)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--grid", choices=("design", "second", "third", "random"), default="design", help="points"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the points drawn at random")
    parser.add_argument("--only", action="append", default=[], help="points whose name contains this text")
    parser.add_argument("--truth", type=Path, help="JSON file of full times in ns, read and added to")
    options = parser.parse_args()
    stored = options.truth is not None and options.truth.exists()
    truth: dict[str, float] = json.loads(options.truth.read_text()) if stored else {}
    print(f"{'':76} {'sampled':>9} {'full us':>9} {'error':>7} {'+-':>6} {'share':>6} {'s':>6}")
    rows: list[Row] = []
    for point in points_of(options.grid, options.seed):
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
