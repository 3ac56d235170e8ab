"""Where a block of device memory lives: L2 slice and set, channel, bank and row.

Consecutive blocks go to consecutive slices and channels; each round over them is rotated by a hash of the
round's number, so that pages read in lockstep do not camp, while any contiguous range still loads all evenly.
The same holds for the banks, rotated by a hash of the row, and for the sets of a slice.

Where partitions keep copies of each other's data, a block has one home slice and, in each other partition, the
slice at the same place among its own.
"""

from sim.memory.division import quotient, remainder
from sim.memory.jit import inlined
from sim.memory.layout import AT_CHANNELS, AT_SLICES, SLICE_COLS, Memory
from sim.memory.params import Param
from sim.memory.request import CHANNEL_SHIFT, place_in

BLOCK_SHIFT, GRANULE_SHIFT = int(Param.BLOCK_SHIFT), int(Param.GRANULE_SHIFT)
CHANNELS, SLICES_SEEN, SETS = int(Param.CHANNELS), int(Param.SLICES_SEEN), int(Param.SETS)
SLICES_NEAR, COPIES = int(Param.SLICES_NEAR), int(Param.COPIES)
BANKS, ROW_SHIFT, CHAN_COLS = int(Param.BANKS), int(Param.ROW_SHIFT), int(Param.CHAN_COLS)
HASH, PRIVATE = int(Param.HASH), int(Param.PRIVATE)
GOLDEN = 0x9E3779


@inlined
def mix(value: int) -> int:
    """Hash to 16 bits; products stay below 2**63."""
    folded = (value ^ (value >> 20)) & 0xFFFFFF
    return int(((folded * GOLDEN) >> 12) & 0xFFFF)


@inlined
def number_of(m: Memory, addr: int) -> int:
    """Number of an address's slice among those that blocks are spread over."""
    block = addr >> m[BLOCK_SHIFT]
    round_ = quotient(m, block, SLICES_SEEN)
    at = block - round_ * m[SLICES_SEEN]
    if m[HASH]:
        at = remainder(m, at + mix(round_), SLICES_SEEN)
    return int(at)


@inlined
def slice_of(m: Memory, addr: int, part: int) -> int:
    """Handle of the slice that an SM of partition `part` reads an address through."""
    return slice_for(m, number_of(m, addr), part)


@inlined
def home_of(m: Memory, addr: int) -> int:
    """Handle of the slice in front of an address's memory (L2s that are not private)."""
    return slice_numbered(m, number_of(m, addr))


@inlined
def slice_for(m: Memory, number: int, part: int) -> int:
    """Handle of the slice through which an SM of partition `part` reads what slice `number` has (matters with private
    L2s and copies only).
    """
    if m[PRIVATE]:
        number += part * m[SLICES_SEEN]
    elif m[COPIES]:
        number = remainder(m, number, SLICES_NEAR) + part * m[SLICES_NEAR]
    return slice_numbered(m, number)


@inlined
def slice_numbered(m: Memory, number: int) -> int:
    """Handle of a slice."""
    return int(m[AT_SLICES] + number * SLICE_COLS)


@inlined
def set_of(m: Memory, addr: int) -> int:
    """Set of an address inside its slice, the same one in a slice that keeps a copy.

    Each round over the slices brings each of them one block, in the next set: what is contiguous fills all sets alike,
    whatever their number. Each turn over the sets is rotated, so that sequences a power of two apart, which CTAs read
    in step, do not meet in one set: by a hash of its number; with copies by one more set than the turn before, or two
    where sets are odd in number. A set sees rounds an odd number apart then, so that who reads them, often stripes of
    a power of two, is not the same in all turns.
    """
    round_ = quotient(m, addr >> m[BLOCK_SHIFT], SLICES_SEEN)
    turn = quotient(m, round_, SETS)
    if m[COPIES]:
        round_ += turn << (m[SETS] & 1)
    elif m[HASH]:
        round_ += mix(turn)
    return among(m, addr, round_, SETS)


@inlined
def among(m: Memory, addr: int, round_: int, sets: int) -> int:
    """Set, of as many as parameter `sets` says, of an address of a round of blocks. Rounds step through all sets and
    the granules of a block lie far apart: where only one granule of each block is used, as by a head of an NHD layout,
    that uses all sets too.
    """
    within = (addr & ((1 << m[BLOCK_SHIFT]) - 1)) >> m[GRANULE_SHIFT]
    return remainder(m, round_ + within * (m[sets] >> (m[BLOCK_SHIFT] - m[GRANULE_SHIFT])), sets)


@inlined
def place(m: Memory, addr: int) -> int:
    """PLACE of an address (`request`): channel, bank and row."""
    block = addr >> m[BLOCK_SHIFT]
    round_ = quotient(m, block, CHANNELS)
    channel = block - round_ * m[CHANNELS]
    offset = addr & ((1 << m[BLOCK_SHIFT]) - 1)
    page = ((round_ << m[BLOCK_SHIFT]) + offset) >> m[ROW_SHIFT]
    row = quotient(m, page, BANKS)
    bank = page - row * m[BANKS]
    if m[HASH]:
        channel = remainder(m, channel + mix(round_), CHANNELS)
        bank = remainder(m, bank + mix(row), BANKS)
    return place_in(channel, bank, row)


@inlined
def channel_at(m: Memory, addr: int) -> int:
    """Handle of the channel of an address."""
    return int(m[AT_CHANNELS] + (place(m, addr) >> CHANNEL_SHIFT) * m[CHAN_COLS])
