"""The result of one simulation: the keys of the `pagewalk.result/1` contract, always all present.

Times in ns, bytes as int, rates in GB/s (10^9 B/s), fractions 0..1. None means "not computed".
"""

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

SCHEMA = "pagewalk.result/1"
RESOURCES = MappingProxyType(
    {
        "hbm": "memory",
        "tensor": "tensor cores",
        "exp": "exponential units",
        "l2": "L2",
        "sram": "shared memory",
        "noc": "network to the SMs",
        "tier": "memory tier",
        "link": "GPU link",
        "latency": "load after load",
    }
)
"""What bounds and utilisations are called where people read them."""


@dataclass(frozen=True)
class Result:
    """One finished run. Mappings are plain data; `to_dict` is what `--json` prints."""

    pagewalk_version: str
    seed: int
    fidelity: str
    hardware: dict[str, Any]
    """`name` and every resolved field, `sources` with it."""
    workload: dict[str, Any]
    """`name` and every resolved field, `model` as the resolved shape."""
    mapping: dict[str, Any]
    """Chosen kernel profile and cut, SRAM arithmetic, runners-up."""
    time_ns: float
    steps: int
    tokens: int | None
    bounds_ns: dict[str, float]
    bound_ns: float
    speed_of_light: float
    bytes: dict[str, int]
    bandwidth_gb_s: dict[str, float]
    utilisation: dict[str, float]
    stalls: dict[str, float] | None
    counters: dict[str, float]
    kv: dict[str, float]
    energy_j: dict[str, float] | None
    area_mm2: dict[str, float] | None
    sampling: dict[str, Any]
    what_if: dict[str, float] | None
    verify: dict[str, Any] | None
    wall_s: float
    schema: str = field(default=SCHEMA)

    def to_dict(self) -> dict[str, Any]:
        data = asdict(self)
        return {"schema": data.pop("schema"), **data}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), allow_nan=False, indent=1)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Result":
        """Inverse of `to_dict`. Raises ValueError on another schema or on missing keys."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"schema {data.get('schema')!r} is not {SCHEMA!r}")
        names = {f.name for f in fields(cls)}
        missing = sorted(names - data.keys())
        if missing:
            raise ValueError(f"result lacks {', '.join(missing)}")
        return cls(**{name: data[name] for name in names})

    @classmethod
    def read(cls, path: Path) -> "Result":
        return cls.from_dict(json.loads(path.read_text()))

    def tightest_bound(self) -> str:
        return max(self.bounds_ns, key=lambda name: self.bounds_ns[name])

    def tokens_per_s(self) -> float | None:
        if self.tokens is None or self.time_ns <= 0 or not math.isfinite(self.time_ns):
            return None
        return self.tokens / self.time_ns * 1e9
