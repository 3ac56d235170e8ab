#!/usr/bin/env python3
"""Measure the first CUDA GPU: `python validation/gpu/measure.py --out DIR`. See README.md beside it."""

import argparse
import shutil
import sys
import time
from pathlib import Path

from gpu_harness.build import build, nvcc_path, toolkit_release
from gpu_harness.claims import claims_about
from gpu_harness.device import Device, find_device, git_hash
from gpu_harness.outputs import TRUTH_COLUMNS, is_attention, truth_row
from gpu_harness.plausibility import flag_of, peaks_of
from gpu_harness.rows import COLUMNS, CsvSink, Record, skipped, tidy
from gpu_harness.runner import run_section
from gpu_harness.sections import TOTAL_LIMIT_S, Section, chosen, limit_for, plan_table

HERE = Path(__file__).resolve().parent


class Measurement:
    """One run: rows go to measurements.csv and to attention.csv or memory.csv the moment they arrive."""

    def __init__(self, device: Device, out: Path, total_limit_s: float) -> None:
        self._device = device
        self._peaks = peaks_of(device.name)
        self._out = out
        self._total_limit_s = total_limit_s
        self._began = time.monotonic()
        self._rows: list[Record] = []
        self._all = CsvSink(out / "measurements.csv", COLUMNS)
        self._attention = CsvSink(out / "attention.csv", TRUTH_COLUMNS)
        self._memory = CsvSink(out / "memory.csv", TRUTH_COLUMNS)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def _write(self, row: Record) -> None:
        flag = flag_of(row, self._peaks)
        if flag:
            row["flag"] = flag
        self._rows.append(row)
        self._all.write(row)
        truth = truth_row(row, len(self._rows))
        if truth is not None:
            (self._attention if is_attention(row) else self._memory).write(truth)

    def _skip(self, section: Section, reason: str) -> None:
        print(f"{section.name}: skipped: {reason}", file=sys.stderr)
        self._write(skipped(section.name, section.name, reason, self._device.record()))

    def build_cuda(self, sections: tuple[Section, ...], nvcc: str | None) -> dict[str, str]:
        """Compile what is needed; the reason for every CUDA section that cannot run."""
        names = [section.name for section in sections if section.kind == "cuda"]
        if nvcc is None:
            return dict.fromkeys(names, "no nvcc on this machine")
        return build(nvcc, names, self._device.capability, self._out / "build", timeout_s=120.0)

    def run(self, section: Section, unbuilt: dict[str, str]) -> None:
        limit_s = limit_for(section, self._elapsed_s(), self._total_limit_s)
        if section.name in unbuilt:
            return self._skip(section, unbuilt[section.name])
        if limit_s == 0.0:
            return self._skip(section, f"the run's limit of {self._total_limit_s:.0f} s was reached")
        record = self._device.record()
        began = time.monotonic()
        command = (
            [str(self._out / "build" / section.name)]
            if section.kind == "cuda"
            else [sys.executable, "-m", "gpu_harness.attention", section.name]
        )
        log = self._out / f"{section.name}.log"
        outcome = run_section(
            command, limit_s, log, lambda found: self._write(tidy(section.name, found, record)), cwd=HERE
        )
        took = time.monotonic() - began
        print(
            f"{section.name}: {outcome.rows} rows in {took:.1f} s (about {section.estimate_s:.0f} planned)",
            file=sys.stderr,
        )
        if outcome.reason:
            self._skip(section, outcome.reason)
        return None

    def finish(self) -> int:
        """Write plausibility.csv, print the flags; the number of rows that failed their check."""
        for sink in (self._all, self._attention, self._memory):
            sink.close()
        claims = claims_about(self._rows, self._peaks)
        with CsvSink(self._out / "plausibility.csv", ("claim", "expected", "seen", "ok")) as sink:
            for c in claims:
                sink.write({"claim": c.claim, "expected": c.expected, "seen": c.seen, "ok": c.ok})
                print(f"{'ok  ' if c.ok else 'LOOK'} {c.claim}: {c.seen} (expected {c.expected})")
        flagged = [row for row in self._rows if row.get("flag")]
        for row in flagged[:40]:
            print(f"LOOK {row['measurement']} {row['value']} {row['unit']}: {row['flag']}")
        failed = sum(row.get("check") == "failed" for row in self._rows)
        counts = f"{len(self._rows)} rows, {len(flagged)} flagged, {failed} failed checks"
        print(f"{counts}, {self._elapsed_s():.0f} s")
        shutil.rmtree(self._out / "build", ignore_errors=True)
        return failed


def options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for the CSV files and logs (made if missing)")
    parser.add_argument("--only", help="comma-separated sections, see --dry-run")
    parser.add_argument("--dry-run", action="store_true", help="print the plan with estimated times and stop")
    parser.add_argument(
        "--limit", type=float, default=TOTAL_LIMIT_S, metavar="SECONDS", help="nothing starts after this"
    )
    parser.add_argument("--revision", help="of this code, where it is not in a git checkout")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """0 done, 1 a check failed, 2 bad usage or no GPU."""
    asked = options(arguments)
    try:
        sections = chosen(asked.only.split(",") if asked.only else None)
    except ValueError as error:
        print(f"measure.py: --only: {error}", file=sys.stderr)
        return 2
    if asked.dry_run:
        print(plan_table(sections))
        return 0
    if asked.out is None:
        print("measure.py: --out DIR is needed (or --dry-run)", file=sys.stderr)
        return 2
    nvcc = nvcc_path()
    device = find_device(toolkit_release(nvcc) if nvcc else "unknown", asked.revision or git_hash(HERE))
    if device is None:
        print("measure.py: no NVIDIA GPU: nvidia-smi is missing or reports none", file=sys.stderr)
        return 2
    out: Path = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    measurement = Measurement(device, out, asked.limit)
    unbuilt = measurement.build_cuda(sections, nvcc)
    for section in sections:
        measurement.run(section, unbuilt)
    return 1 if measurement.finish() else 0


if __name__ == "__main__":
    sys.exit(main())
