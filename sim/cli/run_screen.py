"""The first screen of `run`: verdict, time, achieved against peak, where the time went, what would help."""

from collections.abc import Sequence
from pathlib import Path

from sim.cli.columns import columns
from sim.result import RESOURCES, Result

BAR = 30
STALLS_SHOWN = 12
TOP_GAINS = 3
WAITED = "micro_wait_"
MEASURED = {
    "micro_gb_s": ("bandwidth", "{:,.4g} GB/s of wanted bytes, in the steady stretch"),
    "micro_latency_ns": ("load", "{:.4g} ns"),
    "micro_step_ns": ("step", "{:.4g} ns"),
    "micro_entry_ns": ("of it, entry", "{:.4g} ns"),
    "micro_inflight_kib": ("in flight", "{:.4g} KiB"),
    "micro_overfetch": ("moved", "{:.4g} B for each wanted"),
    "micro_row_hits": ("row hits", "{:.1%}"),
    "micro_hbm_share": ("from memory", "{:.1%}"),
    "micro_far_share": ("far", "{:.1%}"),
}
"""What a microbenchmark measures, as the first lines of its screen."""


def time_text(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.4g} {unit}"
    return f"{ns:.4g} ns"


BYTES = (("GB (10^9 B)", 1e9), ("MB (10^6 B)", 1e6), ("kB (10^3 B)", 1e3), ("B", 1.0))
BINARY = (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10), ("B", 1.0))
ENERGY = (("J", 1.0), ("mJ", 1e-3), ("uJ", 1e-6), ("nJ", 1e-9))


def scaled(value: float, units: tuple[tuple[str, float], ...]) -> str:
    """In the largest unit of which it is a tenth or more."""
    unit, size = next(((unit, size) for unit, size in units if value >= size / 10), units[-1])
    return f"{value / size:.4g} {unit}"


def screen(result: Result, out: Path | None, sets: Sequence[str] = ()) -> str:
    """Plain text; complete without colour. GB/s are 10^9 B/s. `sets`: what --set changed of the named configs."""
    parts = [_verdict(result), _changes(sets), _headline(result)]
    if result.fidelity != "bound":
        parts += [_mapping(result), _resources(result), _stalls(result)]
    parts += [_bounds(result), _gains(result), _verified(result), _files(out)]
    return "\n\n".join(part for part in parts if part)


def _verdict(result: Result) -> str:
    name = result.tightest_bound()
    what = RESOURCES.get(name, name)
    where = f"{result.workload['name']} on {result.hardware['name']}"
    if result.fidelity == "bound":
        return f"{where}: at least {time_text(result.bound_ns)}, bound by {what} (analytic floor, not a simulation)"
    return (
        f"{where}: {result.speed_of_light:.1%} of the tightest bound, {what} ({time_text(result.bound_ns)})"
    )


def _changes(sets: Sequence[str]) -> str:
    return f"changed     {', '.join(sets)}" if sets else ""


def _interval(result: Result) -> str:
    share = result.sampling.get("relative_ci95") or 0.0
    return f" +- {share:.1%} (95% interval of sampling)" if share else ""


def _headline(result: Result) -> str:
    rows = [["time", time_text(result.time_ns) + _interval(result)]]
    rate = result.tokens_per_s()
    if rate is not None:
        rows.append(["tokens/s", f"{rate:,.0f}"])
    rows += _measured(result)
    if result.bytes.get("hbm_read"):
        rows.append(["memory read", scaled(result.bytes["hbm_read"], BYTES)])
    kv = result.kv
    if kv:
        rows.append(["KV blocks", f"{scaled(kv['used_bytes'], BINARY)}, {kv['waste_fraction']:.2%} unfilled"])
    if result.energy_j:
        rows.append(["energy", scaled(sum(result.energy_j.values()), ENERGY)])
    return columns(rows)


def _measured(result: Result) -> list[list[str]]:
    """What a microbenchmark measured; for a chain also what one load waited for."""
    found = result.counters
    rows = [[name, text.format(found[key])] for key, (name, text) in MEASURED.items() if key in found]
    parts = {key[len(WAITED) : -len("_ns")]: ns for key, ns in found.items() if key.startswith(WAITED)}
    if parts:
        ranked = sorted(parts.items(), key=lambda item: -item[1])
        rows.append(["per load", ", ".join(f"{cause} {ns:.4g} ns" for cause, ns in ranked)])
    return rows


def _mapping(result: Result) -> str:
    m = result.mapping
    if "tile_tokens" not in m:
        return f"kernel      {m['kernel']}"
    style = ", its style cut for this chip" if result.workload["kernel"] == "auto" else ""
    return (
        f"kernel      {m['kernel']}{style}: tiles of {m['tile_tokens']} tokens, {m['stages']} stage(s),"
        f" {m['splits']} split(s), {m['ctas_per_sm']} CTA(s) per SM\n"
        f"SRAM        {m['sram_kib_used_per_sm']:.0f} KiB per SM"
        f" ({m['sram_occupancy']:.0%}) = {m['ctas_per_sm']} x ({m['arithmetic']})"
    )


def _resources(result: Result) -> str:
    rows = []
    for name, share in result.utilisation.items():
        rate = result.bandwidth_gb_s.get(name)
        achieved = f"{rate:,.0f} GB/s" if rate is not None else ""
        rows.append([RESOURCES.get(name, name), achieved, f"{share:.1%} of peak"])
    return columns(rows, ["resource", "achieved", "of peak"])


def _stalls(result: Result) -> str:
    assert result.stalls is not None
    ranked = sorted(result.stalls.items(), key=lambda item: -item[1])
    shown = [(cause, share) for cause, share in ranked if share >= 0.0005][:STALLS_SHOWN]
    rows = [[cause, f"{share:6.1%}", "#" * round(share * BAR)] for cause, share in shown]
    rest = 1 - sum(share for _, share in shown)
    if rest >= 0.0005:
        rows.append(["(others)", f"{rest:6.1%}", ""])
    return columns(rows, ["SM time", "share", ""])


def _bounds(result: Result) -> str:
    rows = [
        [RESOURCES.get(name, name), time_text(value)]
        for name, value in sorted(result.bounds_ns.items(), key=lambda item: -item[1])
    ]
    return columns(rows, ["bound", "at least"])


def _gains(result: Result) -> str:
    if result.what_if is None:
        return ""
    ranked = sorted(result.what_if.items(), key=lambda item: -item[1])
    rows = [[name, f"{gain:.3f}x"] for name, gain in ranked]
    best = ", ".join(f"{name} {gain:.2f}x" for name, gain in ranked[:TOP_GAINS])
    return f"worth most: {best}\n" + columns(rows, ["what if", "speed-up"])


def _verified(result: Result) -> str:
    v = result.verify
    if v is None:
        return ""
    if v["ok"]:
        return f"verified: {v['checked']} outputs agree with the dense oracle, largest error {v['max_abs_error']:.1e}"
    faults = "\n".join(f"  {fault}" for fault in v["faults"][:10])
    return f"NOT VERIFIED: largest error {v['max_abs_error']:.1e}\n{faults}"


def _files(out: Path | None) -> str:
    return (
        f"files       {out / 'result.json'}, {out / 'config.resolved.yaml'}; pagewalk report {out}"
        if out
        else ""
    )
