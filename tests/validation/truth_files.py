"""Truth files made by hand: the columns of published measurements, and usual cells where a test gives none."""

import csv
from pathlib import Path
from typing import Any

from sim.validation.truth import COLUMNS

USUAL = {
    "source": "a test",
    "source_address": "none",
    "gpu": "H100-SXM5-80GB",
    "kernel": "vLLM FlashAttention-3",
    "phase": "decode",
    "batch": 4,
    "q_heads": 32,
    "kv_heads": 8,
    "head_dim": 128,
    "q_len": 1,
    "context": 2048,
    "page_size": 64,
    "kv_dtype": "bf16",
    "causal": "",
    "metric": "latency",
    "value": 30.0,
    "unit": "us",
    "notes": "",
}


def write_truth(path: Path, *rows: dict[str, Any]) -> Path:
    """A file with one line per row; ids count from r001 unless given."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for number, row in enumerate(rows, 1):
            writer.writerow({"id": f"r{number:03}", **USUAL, **row})
    return path
