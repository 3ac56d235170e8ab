"""The two files in the layout of published measurements: attention.csv and memory.csv, beside the full table.

Rows that failed their check, or that were skipped, are in the full table only. Column names are those that
`pagewalk validate attention` reads.
"""

from gpu_harness.rows import PARAMETERS, Record

TRUTH_COLUMNS = (
    "id",
    "source",
    "source_address",
    "gpu",
    "kernel",
    "phase",
    "batch",
    "q_heads",
    "kv_heads",
    "head_dim",
    "q_len",
    "context",
    "page_size",
    "kv_dtype",
    "causal",
    "metric",
    "value",
    "unit",
    "notes",
)
_SHAPE = ("batch", "q_heads", "kv_heads", "head_dim", "q_len", "context", "page_size", "kv_dtype", "causal")
_PHASES = {"decode_attention": "decode", "prefill_attention": "prefill"}
_METRICS = {"GB/s": "bandwidth", "ns": "latency", "cycles": "latency", "us": "latency", "TFLOP/s": "tflops"}
_NAMES = (
    ("H100 80GB HBM3", "H100-SXM5-80GB"),
    ("H100 PCIe", "H100-PCIe-80GB"),
    ("A100-SXM4-80GB", "A100-SXM4-80GB"),
    ("A100-PCIE-40GB", "A100-40GB-PCIe"),
)


def gpu_name(device: str) -> str:
    """The driver's name as published tables write it: `NVIDIA H200` is `H200`."""
    return next((name for piece, name in _NAMES if piece in device), device.removeprefix("NVIDIA ").strip())


def is_attention(row: Record) -> bool:
    return row["measurement"] in _PHASES


def notes_of(row: Record) -> str:
    """How the row was measured; `warm` and `cold` are the words that a reader looks for."""
    state = {
        "warm": "replays are warm: the same buffers launch after launch",
        "cold": "cold: L2 flushed before every launch",
    }
    parts = [state.get(str(row.get("l2_state", "")), "")]
    if row.get("launch"):
        parts.append(f"{row['launch']} launch")
    if not is_attention(row):
        shown = [
            key for key in PARAMETERS if key not in ("l2_state", "launch", "variant", "method") and key in row
        ]
        parts += [f"{key}={row[key]}" for key in shown]
    if "splits" in row and is_attention(row):
        parts.append(f"{row['splits']} splits")
    parts.append(f"median of {row.get('repeats', '')}, min {row.get('min', '')}, max {row.get('max', '')}")
    parts.append(f"SM clock {row.get('sm_clock_mhz', '')} MHz")
    if row.get("note"):
        parts.append(str(row["note"]))
    if row.get("flag"):
        parts.append(f"look: {row['flag']}")
    return "; ".join(part for part in parts if part)


def truth_row(row: Record, number: int) -> Record | None:
    """The row in the published layout, None if it holds no checked measurement."""
    if row.get("check") != "ok" or "value" not in row:
        return None
    gpu = gpu_name(str(row["device"]))
    pieces = [str(row["measurement"]), str(row.get("variant", "")), str(row.get("method", ""))]
    kernel = str(row["kernel"]) if is_attention(row) else " ".join(piece for piece in pieces if piece)
    return {
        "id": f"own-{gpu.lower().replace(' ', '-')}-{number:04d}",
        "source": (
            f"own harness, revision {row['git']}, {str(row['date'])[:10]}, "
            f"driver {row['driver']}, CUDA {row['cuda']}"
        ),
        "source_address": "validation/gpu",
        "gpu": gpu,
        "kernel": kernel,
        "phase": _PHASES.get(str(row["measurement"]), "memory"),
        **{key: row[key] for key in _SHAPE if key in row},
        "metric": _METRICS.get(str(row["unit"]), "rate"),
        "value": row["value"],
        "unit": row["unit"],
        "notes": notes_of(row),
    }
