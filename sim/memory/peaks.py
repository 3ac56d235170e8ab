"""What a device memory could deliver at most, and what long reads get of it."""

from sim.config.memory_system import Hbm
from sim.errors import InputError
from sim.memory.dram.standards import STANDARDS, DramStandard

PACKAGE_CHANNEL_BITS = {"DDR5": 64, "LPDDR5X": 64}
"""Data width of one package (DIMM for DDR5) where the standard gives no channel count; 32 otherwise."""


def channels(hbm: Hbm) -> int:
    """Independent channels (pseudo-channels of HBM) of the device."""
    std = standard(hbm)
    per_stack = std.channels_per_stack or PACKAGE_CHANNEL_BITS.get(std.name, 32) // std.channel_bits
    return hbm.stacks * max(1, per_stack)


def standard(hbm: Hbm) -> DramStandard:
    if hbm.standard not in STANDARDS:
        raise InputError(f"hw.hbm.standard: {hbm.standard!r}; allowed: {', '.join(STANDARDS)}")
    return STANDARDS[hbm.standard]


def peak_gb_s(hbm: Hbm) -> float:
    """Peak of the whole device memory in 10^9 bytes per second."""
    if hbm.peak_gb_s is not None:
        return hbm.peak_gb_s
    std = standard(hbm)
    return channels(hbm) * std.channel_bits * (hbm.pin_gbit_s or std.pin_gb_s) / 8


def ecc_share(hbm: Hbm) -> float:
    """Check bits that inline ECC moves per byte of contiguous data: one access for each whole block."""
    return standard(hbm).access_bytes / hbm.inline_ecc_bytes if hbm.inline_ecc_bytes else 0.0


def data_peak_gb_s(hbm: Hbm) -> float:
    """Peak for data in 10^9 bytes per second: nothing is faster than whole blocks, whose check bits are beside them."""
    return peak_gb_s(hbm) / (1 + ecc_share(hbm))


def stream_gb_s(hbm: Hbm) -> float:
    """What long reads of contiguous data reach: the peak less what other traffic takes (`busy_fraction`) and, where
    all banks are refreshed at once, the time in which none answers. Refresh bank by bank hides behind the others."""
    timing = standard(hbm)
    refresh = timing.trfc_ns / timing.trefi_ns if hbm.refresh == "all_bank" else 0.0
    return data_peak_gb_s(hbm) * (1 - hbm.busy_fraction) * (1 - refresh)
