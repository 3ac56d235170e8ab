"""How fast `pagewalk run` is: each part in fresh processes, target beside seen.

    python benchmarks/bench_run.py [--repeat N] [--only PART]...

full    64 sequences x 8K tokens, one decode-attention layer on h100_sxm at full fidelity, compiled code cached
plane   the memory plane's share of it, per 128-byte line, mapping given
scale   the same at 1, 10 and 100 million lines, with peak memory
long    64 sequences x 32K tokens (67 million lines)
search  full with `mapping: auto`, over the same with the mapping that the search chose
first   the first run of a new user: an empty cache of compiled code
help    `pagewalk --help`

Times are wall-clock medians over the repeats (`first`: once); run it on an idle machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

WORKLOAD, HARDWARE = "decode_64x8k", "h100_sxm"
Sets = tuple[str, ...]

CHILD = """
import json, sys, time
from pathlib import Path
from sim.cli.job import run_named
from sim.memory import kernel
spent = [0.0]
def timed(function):
    def run(*arguments):
        begin = time.process_time()
        result = function(*arguments)
        spent[0] += time.process_time() - begin
        return result
    return run
kernel.advance = timed(kernel.advance)
workload, hardware, *sets = sys.argv[1:]
started = time.perf_counter()
result = run_named(workload, hardware, tuple(sets), fidelity="full", seed=0, what_if=False, verify=False)
seconds = time.perf_counter() - started
status = Path("/proc/self/status").read_text()
peak = int(status.partition("VmHWM:")[2].split()[0])
print(json.dumps({"seconds": seconds, "rss_mb": peak * 1024 / 1e6, "mapping": result.mapping,
    "plane_ns_per_line": spent[0] * 1e9 / (result.counters["requested"] / 128)}))
"""
"""Imports are outside the time, everything that the run itself does is inside. VmHWM is KiB since exec; ru_maxrss would
begin at the parent's size. The plane's time is CPU time of its compiled entries."""

CONTEXTS = MappingProxyType({"1 M lines": 512, "10 M lines": 5120, "100 M lines": 51200})
"""Tokens a sequence of the same workload: 2,048 lines a token."""
CUT_KEYS = ("tile_tokens", "stages", "splits", "ctas_per_sm", "kv_heads_per_cta")


@dataclass(frozen=True)
class Job:
    """What is measured: a workload with its overrides on a machine."""

    workload: str = WORKLOAD
    hardware: str = HARDWARE
    sets: Sets = ()


@dataclass(frozen=True)
class Run:
    """One fresh process: seconds of the run, peak resident memory in 10^6 bytes, the mapping it chose, CPU time in the
    memory plane over the lines of the final run (meaningful where the mapping is given: a search's probes run too)."""

    seconds: float
    rss_mb: float
    mapping: Mapping[str, object]
    plane_ns_per_line: float


@dataclass(frozen=True)
class Row:
    """A target beside what was seen; smaller is better."""

    name: str
    target: float
    seen: float
    unit: str

    @property
    def met(self) -> bool:
        return self.seen <= self.target


def run_once(job: Job, sets: Sets = ()) -> Run:
    """One run in a fresh process. Raises CalledProcessError when it fails."""
    arguments = [job.workload, job.hardware, *job.sets, *sets]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], check=True, capture_output=True, text=True
    )
    return Run(**json.loads(done.stdout))


def fixed_mapping(mapping: Mapping[str, object]) -> Sets:
    """Overrides that fix a mapping which a search found."""
    cut = ", ".join(f"{key}: {mapping[key]}" for key in CUT_KEYS)
    return f"workload.kernel={mapping['kernel']}", f"workload.mapping={{{cut}}}"


def wall_s(command: list[str], environment: Mapping[str, str] | None = None) -> float:
    """Seconds from start to end of a command, its output thrown away."""
    started = time.perf_counter()
    env = dict(os.environ) | dict(environment or {})
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    return time.perf_counter() - started


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from sim.cli.main import main; main()", *arguments]


def bench_full(job: Job, repeat: int) -> list[Row]:
    run_once(job)
    runs = [run_once(job) for _ in range(repeat)]
    return [
        Row("full: 64 x 8K decode layer", 4.0, statistics.median(r.seconds for r in runs), "s"),
        Row("full: peak resident memory", 500.0, max(r.rss_mb for r in runs), "MB"),
    ]


def bench_plane(job: Job, repeat: int) -> list[Row]:
    fixed = fixed_mapping(run_once(job).mapping)
    seen = statistics.median(run_once(job, fixed).plane_ns_per_line for _ in range(repeat))
    return [Row("plane: CPU time per line", 100.0, seen, "ns")]


def bench_scale(job: Job, repeat: int) -> list[Row]:
    """Each size once: the largest takes as long as all other parts together."""
    del repeat
    fixed = fixed_mapping(run_once(job).mapping)
    runs = {
        name: run_once(job, (*fixed, f"workload.context={context}")) for name, context in CONTEXTS.items()
    }
    times = [run.plane_ns_per_line for run in runs.values()]
    peaks = [run.rss_mb for run in runs.values()]
    return [
        *(Row(f"scale: per line at {name}", 100.0, r.plane_ns_per_line, "ns") for name, r in runs.items()),
        Row("scale: slowest / fastest", 1.2, max(times) / min(times), "x"),
        *(Row(f"scale: peak memory at {name}", 500.0, r.rss_mb, "MB") for name, r in runs.items()),
        Row("scale: largest / smallest peak", 1.5, max(peaks) / min(peaks), "x"),
    ]


def bench_long(job: Job, repeat: int) -> list[Row]:
    seen = statistics.median(run_once(job, ("workload.context=32768",)).seconds for _ in range(repeat))
    return [Row("long: 64 x 32K decode layer", 15.0, seen, "s")]


def bench_search(job: Job, repeat: int) -> list[Row]:
    """The two kinds of run alternate, so that a slower moment of the machine hits both."""
    fixed = fixed_mapping(run_once(job).mapping)
    pairs = [(run_once(job).seconds, run_once(job, fixed).seconds) for _ in range(repeat)]
    return [Row("search: auto / fixed mapping", 1.5, statistics.median(a / b for a, b in pairs), "x")]


def bench_first(job: Job, repeat: int) -> list[Row]:
    del repeat
    sets = [part for item in job.sets for part in ("--set", item)]
    with tempfile.TemporaryDirectory() as empty:
        command = command_line("run", job.workload, "--hw", job.hardware, *sets, "--out", f"{empty}/out")
        seconds = wall_s(command, {"NUMBA_CACHE_DIR": f"{empty}/compiled"})
    return [Row("first: run with compilation", 30.0, seconds, "s")]


def bench_help(job: Job, repeat: int) -> list[Row]:
    del job
    wall_s(command_line("--help"))
    times = [wall_s(command_line("--help")) for _ in range(max(3, repeat))]
    return [Row("help: pagewalk --help", 0.3, statistics.median(times), "s")]


PARTS: Mapping[str, Callable[[Job, int], list[Row]]] = MappingProxyType(
    {
        "full": bench_full,
        "plane": bench_plane,
        "scale": bench_scale,
        "long": bench_long,
        "search": bench_search,
        "first": bench_first,
        "help": bench_help,
    }
)


def as_table(rows: list[Row]) -> str:
    lines = [f"{'':32} {'target':>9} {'seen':>9}"]
    for row in rows:
        verdict = "" if row.met else "  missed"
        lines.append(f"{row.name:32} {row.target:>6g} {row.unit:2} {row.seen:>6.2f} {row.unit:2}{verdict}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", action="append", choices=list(PARTS), help="measure these parts; none: all")
    options = parser.parse_args()
    rows: list[Row] = []
    for part in options.only or PARTS:
        rows += PARTS[part](Job(), options.repeat)
    print(as_table(rows))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
