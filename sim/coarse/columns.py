"""Columns of the arrays that the tile-grain loop works on; all times are integer picoseconds."""

# A class of equal tiles: bytes into the SM, cost at the port, the stages of one instruction stream, and what check bits
# add to the cost of its bytes in memory, in 1/65536. FIRST_BLOCK, BLOCKS: its blocks in the lists of
# slices and of channels; none: they are not told apart. FOREIGN: share of its bytes that other tiles read as their own,
# in 1/65536.
(
    BYTES,
    PORT,
    ISSUE,
    UNPACK,
    READ,
    QK,
    QK_STALL,
    EXP,
    ALU,
    PV,
    PV_STALL,
    CHECK_BITS,
    FIRST_BLOCK,
    BLOCKS,
    FOREIGN,
) = range(15)
CLASS_COLS = 15

# Scalars of a launch on a machine. FIRST_ENTRY: from a free slot to a CTA's first fetch; NEXT_ENTRY: the same for a
# slot's further items; SEARCH: more, for each SEARCH_GROUP of sequences passed; AHEAD: a slot asks for its next item
# before it finishes one; STRIDE: items are dealt out beforehand; ROOM, CREDITS: places for waiting tiles and for
# outstanding segments of a port. GROUPS: of SMs with an L2 of their own, each with L2_Q16; COPIES: what one of them
# misses and another is home to passes that one too, and the link from it. LOOKS_UP: tiles are looked up in the cache.
# STORE: from a CTA's last byte out to its acknowledgement; STORE_Q16: of each byte at the port; TAKES_IN: bytes that
# L2 takes in over the launch; HOLDS: that it can hold; CHANNEL: a block at its channel; CHECKS_HELD: how long check
# bits of inline ECC are of use to other tiles; NO_CHECK_BITS: CHECK_BITS of a segment that needs none; REFRESH: how
# long one keeps a bank; REFRESH_BYTES: of which one block meets a refresh. ROOT: a CTA's read of where its block
# table lies; TABLE_HIT, TABLE_MISS: then that of its first line, in L2 or not; LOOK_UP: tiles between two waits for
# further lines, 0: none; LOOK_LINES: lines of each wait; LINE_BYTES, LINE_PORT: what a look-up asks for, and its cost
# at the port. WARM: whether L2 may have query rows before anybody has asked for them.
# SLICES: of L2 that a group sees, 0: tiles pass them as one; LISTED: blocks of all classes in the list of slices;
# CHANNELS: of memory, 0: they have one queue; WINDOW: of what waits at one, so much is
# served in any order.
(
    SMS,
    CTAS,
    CTAS_PER_SM,
    STAGES,
    STREAMS,
    UNPACK_NATIVE,
    MMA_SYNC,
    START,
    FIRST_ENTRY,
    NEXT_ENTRY,
    SEARCH,
    SEARCH_GROUP,
    STRIDE,
    AHEAD,
    ROOT,
    TABLE_HIT,
    TABLE_MISS,
    LOOK_UP,
    LOOK_LINES,
    LINE_BYTES,
    LINE_PORT,
    EPILOGUE,
    STORE,
    BARRIER,
    CAP,
    SEGMENT,
    WAY_IN,
    WAY_BACK,
    FAR_EXTRA,
    L2_LATENCY,
    HBM_LATENCY,
    L2_Q16,
    HBM_Q16,
    INGRESS_Q16,
    ROOM,
    CREDITS,
    GROUPS,
    COPIES,
    LINK_Q16,
    LOOKS_UP,
    STORE_Q16,
    TAKES_IN,
    HOLDS,
    CHANNEL,
    CHECKS_HELD,
    NO_CHECK_BITS,
    REFRESH,
    REFRESH_BYTES,
    WARM,
    SLICES,
    LISTED,
    CHANNELS,
    WINDOW,
) = range(53)
SCALARS = 53
