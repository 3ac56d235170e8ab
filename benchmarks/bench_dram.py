"""How fast the exact DRAM controller is: requests per CPU second on truth rows, beside the simulators' own.

    python benchmarks/bench_dram.py [TRUTH_FOLDER] [--every N] [--repeat K]

Compiles first (the time printed is that of compilation only if the cache is empty), then times the
event loop alone, one core, CPU time, the best of K runs a row. Gates: median 1.5 million requests per second
over all rows, 5 times DRAMsim3 and 15 times Ramulator 2 in medians, no row below 2 times.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from sim.memory.dram.controller import ExactDram
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.truth import CONFIG, ID, config_of, read_truth, stream_of
from sim.table_file import Row

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "validation" / "dram"
GATES = {"dramsim3": 5.0, "ramulator2": 15.0}
MEDIAN_RATE = 1.5e6
WORST_RATIO = 2.0


def time_row(row: Row, configs: dict[str, Row], repeat: int) -> float:
    """Requests per CPU second of one row, the best of `repeat` runs."""
    mapping = AddressMapping.parse(row.text("mapping"))
    stream = stream_of(row, mapping)
    config = config_of(configs[row.text(CONFIG)])
    best = float("inf")
    for _ in range(repeat):
        dram = ExactDram(config, mapping, stream, row.integer("window"))
        start = time.process_time()
        dram.run_to_end()
        best = min(best, time.process_time() - start)
    return stream.addr.size / best


def warm(rows: list[Row], configs: dict[str, Row]) -> float:
    """Compile both policies; seconds taken."""
    start = time.perf_counter()
    for simulator in GATES:
        time_row(next(r for r in rows if r.text("simulator") == simulator), configs, 1)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--every", type=int, default=1, help="take every N-th row")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    rows, configs = read_truth(options.folder / "runs.csv")
    print(f"compilation or cache load, with one row of each policy: {warm(rows, configs):.1f} s")
    rows = rows[:: options.every]
    rates = np.array([time_row(row, configs, options.repeat) for row in rows])
    theirs = np.array([row.number("req_per_cpu_s") for row in rows])
    ratios = rates / theirs
    print(
        f"{len(rows)} rows: median {np.median(rates) / 1e6:.2f} M requests/s (gate {MEDIAN_RATE / 1e6:.1f})"
    )
    for simulator, gate in GATES.items():
        at = np.array([row.text("simulator") == simulator for row in rows])
        if at.any():
            ours, other = np.median(rates[at]) / 1e6, np.median(theirs[at]) / 1e6
            print(
                f"{simulator}: median {ours:.2f} M/s, theirs {other:.3f}, ratio of medians {ours / other:.1f}"
            )
            print(f"  (gate {gate:g}); median of the rows' ratios {np.median(ratios[at]):.1f}")
    slowest = int(np.argmin(ratios))
    print(f"least ratio {ratios[slowest]:.1f} in {rows[slowest].text(ID)} (gate {WORST_RATIO:g})")


if __name__ == "__main__":
    main()
