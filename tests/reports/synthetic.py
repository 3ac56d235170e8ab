"""A realistic made-up demo: 24 results, their times from a plain formula, on a real hardware config."""

import itertools
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sim.causes import CAUSES
from sim.config.load import load_hardware
from sim.result import Result

SRAM = (228, 512, 1024, 2048)
FORMATS = {"fp16": 2.0, "fp8_e4m3": 1.0, "int4": 0.53}
PEAK_GB_S = 4800.0

Speed = Callable[[int, str, bool], float]
"""(sram_kib, format, assist) -> time factor; 1.0 is the time at 228 KiB in software."""


def flat(sram: int, fmt: str, assist: bool) -> float:
    return 1.0 - 0.004 * SRAM.index(sram) - 0.01 * assist


@cache
def hardware_json(sram: int) -> str:
    return load_hardware("h200_sxm", [f"sm.sram_kib={sram}"]).spec.model_dump_json()


def make_result(sram: int, fmt: str, assist: bool, factor: float) -> Result:
    hardware = json.loads(hardware_json(sram))
    hardware["translation"]["assist"] = assist
    read = int(1.2e9 * FORMATS[fmt])
    bound = read / PEAK_GB_S
    time = (bound / 0.85 + 6000) * factor
    tensor = 1.2e9 * 8 / ((4096 if fmt == "fp16" else 8192) * 132 * 1.83)
    stalls = dict.fromkeys(CAUSES, 0.0)
    stalls |= {"tensor": 0.08, "softmax": 0.07, "unpack": 0.04, "issue": 0.02, "noc": 0.03, "l2": 0.04}
    stalls |= {"hbm_queue": 0.3, "inflight_limit": 0.1, "translation": 0.02, "barrier": 0.03, "launch": 0.03}
    stalls |= {"no_work": 0.05, "dependency": 0.01, "sram_full": 0.05}
    stalls["hbm_service"] = 1 - sum(stalls.values())
    tile = 64 * 2 * 128 * FORMATS[fmt]
    return Result(
        pagewalk_version="0.1.0",
        seed=0,
        fidelity="full",
        hardware=hardware,
        workload={
            "name": "decode_trace",
            "kind": "kernel",
            "batch": 64,
            "kv_format": fmt,
            "model": {"layers": 80},
        },
        mapping={
            "kernel": "fa3",
            "tile_tokens": 64,
            "stages": min(8, SRAM.index(sram) * 2 + 2),
            "splits": 4,
            "ctas_per_sm": 2,
            "kv_heads_per_cta": 1,
            "sram_kib_used_per_sm": 2 * (tile * min(8, SRAM.index(sram) * 2 + 2) + 2304) / 1024,
            "mma": "fp16",
        },
        time_ns=time,
        steps=1,
        tokens=64,
        bounds_ns={
            "hbm": bound,
            "tensor": tensor,
            "l2": bound / 2,
            "sram": bound / 4,
            "noc": bound / 3,
            "tier": 0.0,
        },
        bound_ns=bound,
        speed_of_light=bound / time,
        bytes={"hbm_read": read, "hbm_write": 2_000_000, "l2_read": read, "l2_hit": 0},
        bandwidth_gb_s={"hbm": read / time, "l2": read / time},
        utilisation={"hbm": read / time / PEAK_GB_S, "tensor": tensor / time},
        stalls=stalls,
        counters={},
        kv={"capacity_bytes": read},
        energy_j={"hbm": 0.1},
        area_mm2={"sram": 1.0},
        sampling={"mode": "none", "relative_ci95": 0.0},
        what_if=None,
        verify=None,
        wall_s=1.0,
    )


def write_demo(folder: Path, speed: Speed = flat, drop: frozenset[int] = frozenset()) -> Path:
    """A sweep folder as the runner leaves it; points in `drop` failed."""
    points: list[dict[str, Any]] = []
    (folder / "points").mkdir(parents=True)
    grid = itertools.product(SRAM, FORMATS, (False, True))
    for index, (sram, fmt, assist) in enumerate(grid):
        name = f"{index:016x}"
        axes = {"hw.sm.sram_kib": sram, "workload.kv_format": fmt, "hw.translation.assist": assist}
        points.append(
            {"index": index, "hash": name, "hardware": "h200_sxm", "workload": "decode_trace", "axes": axes}
        )
        if index in drop:
            text = json.dumps({"kind": "bad input", "message": "SRAM too small"})
            (folder / "points" / f"{name}.failed.json").write_text(text)
        else:
            result = make_result(sram, fmt, assist, speed(sram, fmt, assist))
            (folder / "points" / f"{name}.json").write_text(result.to_json())
    manifest = {
        "schema": "pagewalk.sweep/1",
        "kind": "sweep",
        "name": "sram_demo",
        "command": "pagewalk sweep sweeps/sram_demo.yaml --out out/demo",
        "config_hash": "0123456789abcdef",
        "pagewalk_version": "0.1.0",
        "points": points,
    }
    (folder / "sweep.resolved.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    return folder


def write_comparison(folder: Path, results: dict[str, Result]) -> Path:
    """A folder as `compare` leaves it, one machine a result."""
    points = []
    (folder / "points").mkdir(parents=True)
    for index, (name, result) in enumerate(results.items()):
        result.hardware["name"] = name
        digest = f"{index:016x}"
        points.append({"index": index, "hash": digest, "hardware": name, "workload": "w", "axes": {}})
        (folder / "points" / f"{digest}.json").write_text(result.to_json())
    manifest = {"schema": "pagewalk.sweep/1", "kind": "compare", "name": "two", "points": points}
    (folder / "sweep.resolved.yaml").write_text(json.dumps(manifest))
    return folder
