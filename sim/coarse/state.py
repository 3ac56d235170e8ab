"""What the tile-grain loop works on, as flat rows: the launch, and the state of the machine that runs it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

# State of a slot; S_DONE: the CTA whose result it writes next; S_KNOWN: the first tile whose pages it does not know;
# S_LOOKS: which line of the block table it asks for (NO_LINE, FIRST_LINE, NEXT_LINE); S_OWED: free buffers that wait
# for it.
S_CTA, S_ASKED, S_ISSUED, S_TAKEN, S_END, S_AT0, S_AT1, S_WAITS, S_QUEUE, S_DONE, S_KNOWN, S_LOOKS, S_OWED = (
    range(13)
)
SLOT_COLS = 13
NO_LINE, FIRST_LINE, NEXT_LINE = range(3)
# State of an SM's port, in front of its units. In line are slots, for their next tile each, or for a look-up in the
# block table: a slot's number and that of all slots.
P_HEAD, P_COUNT, P_SIZE, P_LEFT, P_EVENT, P_INFLIGHT, P_RHEAD, P_RCOUNT, P_INGRESS, P_EGRESS = range(10)
# Of the tile under way: when it began to leave; when all segments so far are there; how many bytes of them came from
# memory; the query rows that come before it (-1: none), and the share of them that L2 has, in 1/65536. P_QUEUED: how
# long the last segment waited for the others of its SM before it. P_GONE: when the SM's last CTA so far left it.
P_BEGAN, P_LATEST, P_MISSED, P_QUERY, P_FOUND, P_QUEUED, P_GONE = range(10, 17)
# What all share (G_TAKEN: bytes that L2 has taken in; G_WRITTEN: of the output, what leaves it for memory; G_RANDOM: of
# the generator); then, for
# each group of SMs, when its L2 is free, and then when the link that leaves it is.
G_HBM, G_END, G_NEXT, G_CONSUMED, G_TAKEN, G_WRITTEN, G_RANDOM = range(7)
SHARED = 7
# Of the blocks that tiles of several heads share: when a segment was last fetched, and what was left of its tile then.
B_AT, B_LEFT, CHECKED_COLS = range(3)
NEVER = -(1 << 60)


class Grid(NamedTuple):
    """A launch, as in `sim.coarse.grid`, rows flat; order: [C] CTAs as they start; objects: [T] number of the KV that
    each tile reads; hit: [T] share found, in 1/65536, which look-ups set where p[LOOKS_UP]; query: [C] number of the
    query rows that each CTA reads; query_ptr: [Q + 1] their bytes; query_hit: [Q] share that their first reader finds,
    as `hit`; blocks: [T] number of the blocks of inline ECC that each tile shares with others, -1: none; tables: [C]
    number of the line of the block table that each CTA reads first, -1: none; sequence: [C] of each CTA; slices,
    slices_of, channels, begins, lines: as there."""

    p: Int64
    classes: Int64
    tile_ptr: Int64
    tile_class: Int64
    objects: Int64
    hit: Int64
    query: Int64
    query_ptr: Int64
    query_hit: Int64
    output_ptr: Int64
    order: Int64
    blocks: Int64
    tables: Int64
    sequence: Int64
    slices: Int64
    slices_of: Int64
    channels: Int64
    begins: Int64
    lines: Int64


class State(NamedTuple):
    """Flat rows of: slots (SLOT_COLS), SMs (SM_COLS), slots in line at each port (ROOM), segments outstanding and their
    sizes (CREDITS), when the tiles of a slot arrived (STAGES + 1); when what was fetched of each object is in L2;
    [groups x SLICES] when each slice of L2 is free; the heap; what all share; the check bits of each
    group of blocks (CHECKED_COLS); when each line of the block table, and the query rows of each number, were first
    there, 0: not asked for yet; [CHANNELS] when each channel of memory is free."""

    slots: Int64
    sms: Int64
    waiting: Int64
    due: Int64
    sizes: Int64
    arrived: Int64
    fetched: Int64
    slices: Int64
    heap: Int64
    g: Int64
    consumed: Int64
    checked: Int64
    tables: Int64
    rows: Int64
    channels: Int64
