"""Silicon that a swept memory adds, from the area section of the hardware config."""

from dataclasses import dataclass
from typing import Any

from reports.units import full_path


@dataclass(frozen=True)
class Added:
    """Memory added over the base design, on the whole device."""

    mib: float
    mm2: float
    die_share: float | None
    """Fraction of the die of the base design; None when the die is not known."""


def added(hardware: dict[str, Any], path: str, low: float, high: float) -> Added | None:
    """Area from `low` to `high` of this axis; None for axes that add no memory.

    SRAM: (high - low) x SMs / 1024 MiB at `area.sram_mm2_per_mib`. L2: (high - low) at `area.l2_mm2_per_mib`.
    """
    area, sm = hardware.get("area"), hardware.get("sm")
    if not area or not sm:
        return None
    if full_path(path) == "hw.sm.sram_kib":
        mib, rate = (high - low) * sm["count"] / 1024, area["sram_mm2_per_mib"]
    elif full_path(path) == "hw.l2.capacity_mib":
        mib, rate = high - low, area["l2_mm2_per_mib"]
    else:
        return None
    die = area.get("die_mm2")
    return Added(mib, mib * rate, mib * rate / die if die else None)
