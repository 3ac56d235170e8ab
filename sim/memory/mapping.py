"""Where a block of device memory lives: L2 slice and set, channel, bank and row.

Consecutive blocks go to consecutive slices and channels; each round over them is rotated by a hash of the
round's number, so that pages read in lockstep do not camp, while any contiguous range still loads all evenly.
The same holds for the banks, rotated by a hash of the row.
"""

from sim.memory.jit import compiled
from sim.memory.layout import AT_CHANNELS, AT_SLICES, SLICE_COLS, Memory
from sim.memory.params import Param

BLOCK_SHIFT, GRANULE_SHIFT = int(Param.BLOCK_SHIFT), int(Param.GRANULE_SHIFT)
CHANNELS, SLICES_SEEN, SETS = int(Param.CHANNELS), int(Param.SLICES_SEEN), int(Param.SETS)
BANKS, ROW_SHIFT, CHAN_COLS = int(Param.BANKS), int(Param.ROW_SHIFT), int(Param.CHAN_COLS)
HASH, PRIVATE = int(Param.HASH), int(Param.PRIVATE)
GOLDEN = 0x9E3779


@compiled
def mix(value: int) -> int:
    """Hash to 16 bits; products stay below 2**63."""
    folded = (value ^ (value >> 20)) & 0xFFFFFF
    return int(((folded * GOLDEN) >> 12) & 0xFFFF)


@compiled
def slice_of(m: Memory, addr: int, part: int) -> int:
    """Handle of the slice of an address for an SM of partition `part` (matters with private L2s only)."""
    block = addr >> m[BLOCK_SHIFT]
    count = m[SLICES_SEEN]
    round_ = block // count
    at = block - round_ * count
    if m[HASH]:
        at = (at + mix(round_)) % count
    if m[PRIVATE]:
        at += part * count
    return int(m[AT_SLICES] + at * SLICE_COLS)


@compiled
def set_of(m: Memory, addr: int) -> int:
    """Set of an address inside its slice."""
    round_ = (addr >> m[BLOCK_SHIFT]) // m[SLICES_SEEN]
    within = (addr & ((1 << m[BLOCK_SHIFT]) - 1)) >> m[GRANULE_SHIFT]
    return int(((round_ << (m[BLOCK_SHIFT] - m[GRANULE_SHIFT])) + within) % m[SETS])


@compiled
def place(m: Memory, addr: int) -> tuple[int, int, int]:
    """Handle of the channel, bank and row of an address."""
    block = addr >> m[BLOCK_SHIFT]
    round_ = block // m[CHANNELS]
    channel = block - round_ * m[CHANNELS]
    offset = addr & ((1 << m[BLOCK_SHIFT]) - 1)
    page = ((round_ << m[BLOCK_SHIFT]) + offset) >> m[ROW_SHIFT]
    row = page // m[BANKS]
    bank = page - row * m[BANKS]
    if m[HASH]:
        channel = (channel + mix(round_)) % m[CHANNELS]
        bank = (bank + mix(row)) % m[BANKS]
    return int(m[AT_CHANNELS] + channel * m[CHAN_COLS]), int(bank), int(row)
