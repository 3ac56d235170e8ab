"""The committed runs of validation/gpu, by machine."""

import csv
from pathlib import Path

GPU = Path(__file__).resolve().parents[1] / "validation" / "gpu"
RUNS = {"h100_sxm": "h100_sxm-2026-11-26", "h200_sxm": "h200_sxm-2026-11-26"}


def attention_file(machine: str) -> Path:
    return GPU / RUNS[machine] / "attention.csv"


def checked_rows(machine: str) -> list[dict[str, str]]:
    """Of measurements.csv, those that passed their check."""
    with (GPU / RUNS[machine] / "measurements.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["check"] == "ok"]
