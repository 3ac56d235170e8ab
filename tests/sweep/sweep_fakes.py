"""Stand-ins for configs and the simulator: picklable, importable by worker processes, quick."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sim.errors import InputError
from sim.result import Result


class Spec(SimpleNamespace):
    def model_dump(self, mode: str) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "context"}


@dataclass(frozen=True)
class Loaded:
    spec: Spec


def load_hardware(name: str, sets: Any = ()) -> Loaded:
    values = dict(item.split("=", 1) for item in sets)
    if "hw.bad" in values:
        raise InputError(f"{name}: hw.bad: unknown key")
    return Loaded(Spec(name=name, **{key.replace(".", "_"): value for key, value in values.items()}))


def load_workload(name: str, sets: Any = ()) -> Loaded:
    values = dict(item.split("=", 1) for item in sets)
    extra = {key.replace(".", "_"): value for key, value in values.items()}
    return Loaded(Spec(name=name, model="m", kernel="auto", context=SimpleNamespace(), **extra))


def result(time_ns: float, hardware: str = "hw", workload: str = "wl") -> Result:
    return Result(
        pagewalk_version="0",
        seed=0,
        fidelity="full",
        hardware={"name": hardware},
        workload={"name": workload},
        mapping={"tile_tokens": 64},
        time_ns=time_ns,
        steps=1,
        tokens=None,
        bounds_ns={"hbm": time_ns / 2, "tensor": 1.0},
        bound_ns=time_ns / 2,
        speed_of_light=0.5,
        bytes={"hbm_read": 1024},
        bandwidth_gb_s={"hbm": 1.5},
        utilisation={"hbm": 0.5},
        stalls={"tensor": 0.25, "hbm_service": 0.75},
        counters={"b": 2, "a": 1},
        kv={"capacity_bytes": 1},
        energy_j=None,
        area_mm2=None,
        sampling={"mode": "none", "relative_ci95": 0.0},
        what_if=None,
        verify=None,
        wall_s=time.perf_counter(),
    )


def simulate(hardware: Spec, workload: Spec, *, fidelity: str, seed: int) -> Result:
    """time_ns = 1000 x `hw.x`; leaves a line in $FAKE_LOG for each run; `hw.x` 13 fails, 66 dies."""
    x = float(hardware.hw_x)
    with Path(os.environ["FAKE_LOG"]).open("a") as log:
        log.write(f"{hardware.hw_x}\n")
    time.sleep(float(os.environ.get("FAKE_SLEEP", "0")))
    if x == 13:
        raise InputError("SRAM too small: 13 KiB < 16 KiB")
    if x == 66:
        os._exit(9)
    return result(1000 * x, hardware.name, workload.name)
