"""Silicon area: the published die, plus what a design adds to its SRAM and L2.

SRAM scratchpads by macro density, L2 as a product cache with tags, ECC and interconnect; densities and what the
die already holds come from the config with their sources.
"""

from sim.config.hardware import Hardware

KIB_PER_MIB = 1024


def area_mm2(hw: Hardware) -> dict[str, float]:
    """Parts in mm2. `die` and `total` are absent where the die area is not published."""
    area = hw.area
    sram = hw.sm.count * (hw.sm.sram_kib - area.base_sram_kib) / KIB_PER_MIB * area.sram_mm2_per_mib
    l2 = (hw.l2.capacity_mib - area.base_l2_mib) * area.l2_mm2_per_mib
    parts = {"sram_added": sram, "l2_added": l2}
    if area.die_mm2 is not None:
        parts |= {"die": area.die_mm2, "total": area.die_mm2 + sram + l2}
    return parts
