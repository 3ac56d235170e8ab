"""Numbers as people read them: SI times, binary sizes, signed percentages, names of key paths."""

from typing import Any

BINARY_STEPS = {"kib": ("KiB", "MiB", "GiB"), "mib": ("MiB", "GiB", "TiB"), "gib": ("GiB", "TiB", "PiB")}
UNIT_SUFFIXES = {
    "_gb_s": "GB/s",
    "_gbit_s": "Gbit/s",
    "_bytes_per_clk": "B/clk",
    "_bytes": "B",
    "_tokens": "tokens",
    "_ghz": "GHz",
    "_kib": "KiB",
    "_mib": "MiB",
    "_gib": "GiB",
    "_mm2": "mm²",
    "_clk": "clk",
    "_ns": "ns",
}
NAMES = {
    "hw.sm.sram_kib": "SRAM per SM",
    "hw.l2.capacity_mib": "L2 capacity",
    "hw.hbm.peak_gb_s": "HBM peak",
    "hw.translation.assist": "Translation",
    "hw.gather.engine": "Gather engine",
    "hw.unpack.native": "Native unpack",
    "workload.kv_format": "KV format",
    "workload.batch": "Batch",
    "workload.context": "Context",
    "workload.page_tokens": "Page",
    "workload.footprint_mib": "Footprint",
    "workload.inflight_kib": "In flight",
    "workload.run_bytes": "Run",
    "hardware": "Hardware",
    "workload": "Workload",
}
FORMATS = {
    "fp16": "FP16",
    "bf16": "BF16",
    "fp8_e4m3": "FP8 E4M3",
    "fp8_e5m2": "FP8 E5M2",
    "int8": "INT8",
    "int4": "INT4",
    "mxfp4": "MXFP4",
    "nvfp4": "NVFP4",
}
SWITCHES = {"hw.translation.assist": ("software block table", "hardware assist")}


def full_path(path: str) -> str:
    """A bare key path means hw."""
    return path if path.split(".")[0] in ("hw", "workload", "hardware") else f"hw.{path}"


def axis_name(path: str) -> str:
    """'hw.sm.sram_kib' -> 'SRAM per SM'; what has no name of its own keeps its path."""
    return NAMES.get(full_path(path), path)


def axis_unit(path: str) -> str:
    return next((unit for suffix, unit in UNIT_SUFFIXES.items() if path.endswith(suffix)), "")


def axis_title(path: str) -> str:
    """Name with unit, for an axis of a figure; binary sizes carry their unit in the tick labels."""
    unit = axis_unit(path)
    return f"{axis_name(path)} ({unit})" if unit and unit.lower() not in BINARY_STEPS else axis_name(path)


def value_text(path: str, value: Any) -> str:
    """An axis value as a tick label: '1 MiB', 'FP8 E4M3', 'hardware assist', '8192'."""
    if isinstance(value, bool):
        off, on = SWITCHES.get(full_path(path), ("off", "on"))
        return on if value else off
    if isinstance(value, (int, float)):
        unit = path.rsplit("_", 1)[-1]
        return size_text(value, unit) if unit in BINARY_STEPS else f"{value:g}"
    if isinstance(value, str):
        return FORMATS.get(value, value)
    if isinstance(value, (dict, list, tuple)):
        return _several(value)
    return "-" if value is None else str(value)


def _several(value: Any) -> str:
    """A mapping or a list as words."""
    if isinstance(value, (list, tuple)):
        items = [FORMATS.get(str(v), str(v)) for v in value]
    elif {"hot", "cold"} <= value.keys():
        items = [f"{FORMATS.get(value[age], value[age])} {age}" for age in ("hot", "cold")]
    else:
        items = [f"{key} {item}" for key, item in value.items()]
    return ", ".join(items) or "none"


def value_with_unit(path: str, value: Any) -> str:
    """As `value_text`, with the unit where the text has none: '4800 GB/s'."""
    text, unit = value_text(path, value), axis_unit(path)
    named = isinstance(value, bool) or not isinstance(value, (int, float)) or unit.lower() in BINARY_STEPS
    return text if named or not unit else f"{text} {unit}"


def size_text(value: float, unit: str) -> str:
    """1024 kib -> '1 MiB'; 228 kib -> '228 KiB'; 1536 kib -> '1.5 MiB'."""
    names = BINARY_STEPS[unit]
    step = 0
    while value >= 1024 and step < len(names) - 1:
        value, step = value / 1024, step + 1
    return f"{value:.4g} {names[step]}"


def time_scale(largest_ns: float) -> tuple[float, str]:
    """Divisor and unit that bring the largest time of a figure to a readable number."""
    steps = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))
    return next(((scale, unit) for scale, unit in steps if largest_ns >= scale), (1.0, "ns"))


def time_text(ns: float) -> str:
    """Four significant digits: '685.2 µs'."""
    scale, unit = time_scale(ns)
    return f"{ns / scale:.4g} {unit}"


def percent(fraction: float, digits: int = 1) -> str:
    return f"{100 * fraction:.{digits}f}%"


def signed_percent(fraction: float, digits: int = 1) -> str:
    """'+3.2%', '-0.4%'; what rounds to zero has no sign."""
    text = f"{100 * fraction:+.{digits}f}%"
    return text[1:] if float(text[:-1]) == 0 else text


def listed(items: list[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"


def counted(count: int, noun: str) -> str:
    """'1 point', '24 points'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
