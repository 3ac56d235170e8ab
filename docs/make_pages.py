"""Bring the tables of docs/hardware.md, docs/kernels.md and docs/reports.md up to date with what ships.

python docs/make_pages.py
"""

from collections import Counter
from pathlib import Path

from sim.config.catalog import shipped
from sim.config.hardware import Hardware, SourceKind
from sim.config.kernel_profile import KernelProfile
from sim.config.load import load_hardware, load_profile
from sim.config.provenance import numbers
from sim.memory.dram.standards import STANDARDS
from sim.memory.latency import l2_trip_ns
from sim.memory.peaks import peak_gb_s
from sim.whatif import MEANINGS

DOCS = Path(__file__).parent
ESTIMATED = ("estimate", "calibrated")
KINDS: tuple[SourceKind, ...] = ("datasheet", "measured", "calibrated", "estimate", "proposal")


def miss_ns(spec: Hardware) -> float:
    standard = STANDARDS[spec.hbm.standard]
    pin = spec.hbm.pin_gbit_s or standard.pin_gb_s
    burst = standard.access_bytes * 8 / (standard.channel_bits * pin)
    return l2_trip_ns(spec) + spec.hbm.controller_ns + standard.trcd_ns + standard.tcl_ns + burst


def marked(spec: Hardware, text: str, *keys: str) -> str:
    """The text, with a mark when one of the numbers behind it is not from a datasheet or a measurement."""
    sources = [spec.sources[key] for key in keys if key in spec.sources]
    return f"{text} ~" if any(source.kind in ESTIMATED for source in sources) else text


def row(spec: Hardware) -> list[str]:
    sm, l2, hbm = spec.sm, spec.l2, spec.hbm
    tensor = sm.count * sm.clock_ghz * sm.tensor_flop_per_clk["fp16"] / 1e3
    fraction = f"{l2.effective_fraction:g} ({l2.partitions})"
    return [
        f"`{spec.name}`",
        marked(spec, str(sm.count), "sm.count"),
        marked(spec, f"{sm.clock_ghz:g}", "sm.clock_ghz"),
        marked(spec, f"{tensor:.0f}", "sm.tensor_flop_per_clk.fp16", "sm.clock_ghz"),
        marked(spec, str(sm.sram_kib), "sm.sram_kib"),
        marked(spec, f"{sm.max_inflight_kib:g}", "sm.max_inflight_kib"),
        marked(spec, f"{l2.capacity_mib:g}", "l2.capacity_mib"),
        marked(spec, fraction, "l2.effective_fraction"),
        marked(spec, f"{l2.bandwidth_gb_s / 1e3:.2f}", "l2.bandwidth_gb_s"),
        f"{hbm.standard} x {hbm.stacks}",
        marked(spec, f"{peak_gb_s(spec.hbm):.0f}", "hbm.pin_gbit_s"),
        marked(spec, f"{hbm.capacity_gib:g}", "hbm.capacity_gib"),
        f"{l2_trip_ns(spec):.0f} / {miss_ns(spec):.0f}",
        marked(spec, f"{spec.launch.graph_ns / 1e3:.2f}", "launch.graph_ns"),
        marked(spec, f"{spec.area.die_mm2:g}", "area.die_mm2"),
    ]


HEAD = [
    "config",
    "SMs",
    "GHz",
    "FP16 TFLOP/s",
    "SRAM KiB/SM",
    "in flight KiB/SM",
    "L2 MiB",
    "usable share (partitions)",
    "L2 TB/s",
    "memory",
    "GB/s",
    "GiB",
    "hit / miss ns",
    "graph launch us",
    "die mm2",
]


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def provenance_row(spec: Hardware) -> list[str]:
    values = numbers(spec)
    kinds = Counter(source.kind for key, source in spec.sources.items() if key in values)
    return [
        f"`{spec.name}`",
        *(str(kinds[kind]) for kind in KINDS),
    ]


KERNEL_HEAD = [
    "profile",
    "what it is",
    "phases",
    "KV formats",
    "matrix instruction",
    "copies",
    "splits",
    "in `auto`",
    "calibrated",
    "estimates",
]


def kernel_row(profile: KernelProfile) -> list[str]:
    kinds = Counter(text.split()[0].strip(":,") for text in profile.sources.values())
    return [
        f"`{profile.name}`",
        profile.description.replace("|", "/"),
        ", ".join(profile.phase),
        ", ".join(profile.formats),
        profile.mma_instruction,
        profile.address,
        "-" if profile.algorithm != "flash" or "decode" not in profile.phase else profile.split.rule,
        "yes" if profile.auto else "",
        str(kinds["calibrated"]),
        str(kinds["estimate"]),
    ]


def hardware_tables() -> dict[str, str]:
    specs = [load_hardware(name).spec for name in shipped("hardware")]
    parts = [spec for spec in specs if not is_proposal(spec)]
    proposals = [[f"`{spec.name}`", spec.description] for spec in specs if is_proposal(spec)]
    return {
        "parts": table(HEAD, [row(spec) for spec in parts]),
        "proposals": table(["config", "what it is"], proposals),
        "sources": table(["config", *KINDS], [provenance_row(spec) for spec in parts]),
    }


def kernel_tables() -> dict[str, str]:
    """Each profile in one table, by what it computes."""
    profiles = [load_profile(name) for name in shipped("kernel profile")]
    kinds: dict[str, list[list[str]]] = {"decode": [], "latent": [], "prefill": [], "state": []}
    for profile in profiles:
        kinds[kernel_kind(profile)].append(kernel_row(profile))
    return {kind: table(KERNEL_HEAD, rows) for kind, rows in kinds.items()}


def kernel_kind(profile: KernelProfile) -> str:
    if profile.attention == ["mla"]:
        return "latent"
    if profile.attention == ["ssm"]:
        return "state"
    return "prefill" if "prefill" in profile.phase else "decode"


def page(text: str, tables: dict[str, str]) -> str:
    """The page with its tables brought up to date; its words stay."""
    for name, content in tables.items():
        head, rest = text.split(f"<!-- {name} -->\n")
        text = f"{head}<!-- {name} -->\n{content}<!-- end -->{rest.split('<!-- end -->', 1)[1]}"
    return text


def pages() -> dict[str, dict[str, str]]:
    what_if = table(["case", "what it means"], [[f"`{name}`", text] for name, text in MEANINGS.items()])
    return {
        "hardware.md": hardware_tables(),
        "kernels.md": kernel_tables(),
        "reports.md": {"what if": what_if},
    }


def is_proposal(spec: Hardware) -> bool:
    return spec.name.startswith("ideal") or (spec.name.startswith("h200") and spec.name != "h200_sxm")


if __name__ == "__main__":
    for name, tables in pages().items():
        (DOCS / name).write_text(page((DOCS / name).read_text(), tables))
