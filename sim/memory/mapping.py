"""Where a block of device memory lives: L2 slice and set, channel, bank and row.

Consecutive blocks go to consecutive slices and channels; each round over them is rotated by a hash of the
round's number, so that pages read in lockstep do not camp, while any contiguous range still loads all evenly.
The same holds for the banks, rotated by a hash of the row.
"""

from sim.memory.jit import compiled
from sim.memory.layout import AT_CHANNELS, AT_SLICES, SLICE_COLS, Memory
from sim.memory.params import Param

BLOCK, CHANNELS, SLICES, PARTITIONS = (
    int(Param.BLOCK),
    int(Param.CHANNELS),
    int(Param.SLICES),
    int(Param.PARTITIONS),
)
BANKS, ROW_BYTES, HASH, PRIVATE = int(Param.BANKS), int(Param.ROW_BYTES), int(Param.HASH), int(Param.PRIVATE)
LINE, SETS, CHAN_COLS = int(Param.LINE), int(Param.SETS), int(Param.CHAN_COLS)
GOLDEN = 0x9E3779


@compiled
def mix(value: int) -> int:
    """Hash to 16 bits; products stay below 2**63."""
    folded = (value ^ (value >> 20)) & 0xFFFFFF
    return int(((folded * GOLDEN) >> 12) & 0xFFFF)


@compiled
def slice_of(m: Memory, addr: int, part: int) -> int:
    """Handle of the slice of an address for an SM of partition `part` (matters with private L2s only)."""
    block = addr // m[BLOCK]
    count = m[SLICES]
    base = 0
    if m[PRIVATE]:
        count //= m[PARTITIONS]
        base = part * count
    round_ = block // count
    at = block - round_ * count
    if m[HASH]:
        at = (at + mix(round_)) % count
    return int(m[AT_SLICES] + (base + at) * SLICE_COLS)


@compiled
def set_of(m: Memory, addr: int) -> int:
    """Set, inside its slice, of the line at `addr`."""
    block = addr // m[BLOCK]
    count = m[SLICES]
    if m[PRIVATE]:
        count //= m[PARTITIONS]
    lines = m[BLOCK] // m[LINE]
    return int(((block // count) * lines + (addr % m[BLOCK]) // m[LINE]) % m[SETS])


@compiled
def place(m: Memory, addr: int) -> tuple[int, int, int]:
    """Handle of the channel, bank and row of an address."""
    block = addr // m[BLOCK]
    round_ = block // m[CHANNELS]
    channel = block - round_ * m[CHANNELS]
    page = (round_ * m[BLOCK] + addr % m[BLOCK]) // m[ROW_BYTES]
    row = page // m[BANKS]
    bank = page - row * m[BANKS]
    if m[HASH]:
        channel = (channel + mix(round_)) % m[CHANNELS]
        bank = (bank + mix(row)) % m[BANKS]
    return int(m[AT_CHANNELS] + channel * m[CHAN_COLS]), int(bank), int(row)
