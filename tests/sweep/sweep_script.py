"""A sweep with the fake simulator as a process of its own, for tests that kill it: FOLDER JOBS COUNT."""

import sys
from pathlib import Path

from sweep_fakes import load_hardware, load_workload, simulate

from sim.sweep.points import Plan, expand
from sim.sweep.sweep import Request, run_sweep


def main() -> None:
    folder, jobs, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    plan = Plan(("hw",), ("wl",), {"hw.x": tuple(range(100, 100 + count))})
    points = expand(plan, load_hardware, load_workload, "0")
    try:
        run_sweep("sweep", "fake", plan, points, {}, simulate, Request(folder, jobs=jobs))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
