"""Rows of the PyTorch sections: the same JSON lines as the CUDA binaries print."""

import importlib
import json
import statistics
from collections.abc import Sequence

Parameter = str | int | bool


def sm_clock_mhz() -> float:
    """The SM clock right now; 0 where NVML cannot be asked (the sample before the section stands then)."""
    try:
        return float(importlib.import_module("torch").cuda.clock_rate())
    except (ImportError, RuntimeError, AttributeError):
        return 0.0


def emit(
    measurement: str,
    params: dict[str, Parameter],
    samples: Sequence[float],
    unit: str,
    ok: bool,
    note: str = "",
) -> None:
    """One measured row: the median of the samples with their extremes."""
    row = {
        "measurement": measurement,
        "params": params,
        "value": statistics.median(samples),
        "unit": unit,
        "repeats": len(samples),
        "min": min(samples),
        "max": max(samples),
        "check": "ok" if ok else "failed",
        "note": note,
        "sm_clock_mhz": sm_clock_mhz(),
    }
    print(json.dumps(row), flush=True)


def skip(measurement: str, reason: str, params: dict[str, Parameter] | None = None) -> None:
    """A row that says why something was not measured, on one line of at most 200 characters."""
    note = " ".join(reason.split())[:200]
    print(
        json.dumps({"measurement": measurement, "params": params or {}, "check": "skipped", "note": note}),
        flush=True,
    )
