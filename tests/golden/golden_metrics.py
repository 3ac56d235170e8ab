"""Golden results: a few numbers of every shipped machine on small workloads, kept in git to the last bit.

They say that the model has changed, not that it is right: they are our own earlier results, not silicon.
"""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_workload
from sim.result import Result

STORED = Path(__file__).with_name("golden_results.json")
TOP_STALLS = 5
CUT = "workload.mapping={tile_tokens: 32, stages: 2, splits: 8, ctas_per_sm: 1}"
DECODE = ("decode_16x8k", "workload.batch=4", "workload.context=2048")

WORKLOADS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "decode": (*DECODE, "workload.kernel=register_decode", CUT),
        "searched_decode": DECODE,
        "warm_decode": (
            "decode_1x8k_warm",
            "workload.context=2048",
            "workload.kernel=register_decode",
            CUT,
        ),
        "int4_decode": (
            "decode_64x8k_int4",
            "workload.batch=4",
            "workload.context=1024",
            "workload.kernel=register_decode",
            CUT,
        ),
        "prefill": (
            "prefill_4k",
            "workload.batch=1",
            "workload.context=256",
            "workload.q_len=256",
            "workload.kernel=register_prefill",
            "workload.mapping={tile_tokens: 32, stages: 1, splits: 1, ctas_per_sm: 1}",
        ),
    }
)
"""File and overrides. One searches its mapping; the others are given one that every machine can run."""

SEARCHING = ("a100_sxm_80gb", "b200", "h100_sxm", "h200_sram_1m", "mi300x")
"""Machines that search: most of the time of a golden run goes there."""

Metrics = dict[str, float]
Golden = dict[str, dict[str, Metrics]]


def shipped_hardware() -> list[str]:
    files = resources.files("hwconfigs").iterdir()
    return sorted(Path(f.name).stem for f in files if f.name.endswith(".yaml"))


def cases_of(hardware: str) -> list[str]:
    return [name for name in WORKLOADS if name != "searched_decode" or hardware in SEARCHING]


def metrics_of(result: Result) -> Metrics:
    """The numbers that are kept, flat: time, bounds, bytes, energy and the largest stalls."""
    stalls = result.stalls or {}
    largest = sorted(stalls, key=lambda cause: (-stalls[cause], cause))[:TOP_STALLS]
    energy = result.energy_j or {}
    return {
        "time_ns": result.time_ns,
        "energy_j": sum(energy.values()),
        **{f"bounds_ns.{name}": value for name, value in sorted(result.bounds_ns.items())},
        **{f"bytes.{name}": value for name, value in sorted(result.bytes.items())},
        **{f"stalls.{cause}": stalls[cause] for cause in largest},
    }


def run_golden(hardware: str, workload: str) -> Metrics:
    file, *sets = WORKLOADS[workload]
    result = simulate(load_hardware(hardware).spec, load_workload(file, sets).spec)
    return metrics_of(result)


def read_stored() -> Golden:
    stored: Golden = json.loads(STORED.read_text())
    return stored


def write_stored(golden: Golden) -> None:
    """One line per machine and workload, so that a difference in git shows what moved."""
    machines = [
        f"{json.dumps(hw)}: {{\n"
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(metrics)}" for name, metrics in rows.items())
        + "\n}"
        for hw, rows in golden.items()
    ]
    STORED.write_text("{\n" + ",\n".join(machines) + "\n}\n")


def drift(where: str, old: Mapping[str, float], new: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """(where, metric, old, new, change) of every number that is not the same to the last bit."""
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        if before != after:
            yield where, name, _text(before), _text(after), _change(before, after)


def _text(value: float | None) -> str:
    return "none" if value is None else f"{value:.10g}"


def _change(before: float | None, after: float | None) -> str:
    if before is None or after is None or before == 0:
        return "-"
    return f"{(after - before) / before:+.3%}"


def table(rows: list[tuple[str, ...]]) -> str:
    """The drift as aligned text."""
    lines = [("where", "metric", "old", "new", "change"), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    body = "\n".join(
        "  ".join(
            c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    return f"drift against our own earlier results, not error against silicon\n{body}"


def difference(was: Any, now: Any, where: str) -> list[tuple[str, ...]]:
    """Drift of all workloads of one machine; `was` may lack some."""
    names = dict.fromkeys((*was, *now))
    return [row for name in names for row in drift(f"{where} {name}", was.get(name, {}), now.get(name, {}))]
