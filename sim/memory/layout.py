"""One int64 array holds the whole compiled plane; the names here are the only way to address it.

Compiled functions pass arrays by their parts and count references, so a plane of twenty arrays spends
more time on calls than on physics. Here a unit (an SM port, a slice, a channel, a request) is known by
the position of its row, its handle, and `m[handle + COLUMN]` is a field. The first cells are parameters
(`params.Param`), control cells, the positions of the sections, and the counters. Requests come last, so
that their pool can grow.
"""

import numpy as np
from numpy.typing import NDArray

Memory = NDArray[np.int64]

# Event stages of a node: what happens at its EV_TIME.
WAKE, ARRIVE, OUT, FILL, RETURN, TRANSLATE, LOOKUP, WALKED, HOME, CROSS = range(10)

COPY_TIE = 1 << 61
"""Marks a copy's TIE, which is that of the request it serves."""
# Every row that can be queued begins with EV_TIME, LINK, TIE, STAGE; LINK: the next row of a list, or of what shares an
# event's bucket.
# Row of a request (a chunk of a run, or a granule written back) on its way: two cache lines that all stages use (cells
# with several fields: `request`), one for its port and stamps only.
(
    EV_TIME,
    LINK,
    TIE,
    STAGE,
    GOAL,
    ADDR,
    WHAT,
    L2_ARRIVE,
    PATH,
    MSHRW,
    PLACE,
    AVAIL,
    HBMQ,
    HBM_DONE,
    L2_DONE,
    NOCQ,
    INFLIGHT,
    ISSUE,
    TLBW,
    WALK_CELL,
    HEAP_SLOT,
) = range(21)
# Of a request for a block-table entry: its place in the SM's cache, the first of the look-ups that wait for it and its
# place in the shared level. Of such a look-up: the next one, and when it has looked.
OWN_CELL, WAITERS, LOOKED = ISSUE, INFLIGHT, ADDR
CHUNK_COLS = 24
MAX_TRAIN = 16
"""Accesses of one request at most, without check bits: the sectors under one tag of L2."""

# Columns of an SM's port. P_CAP_TOTAL, P_ENTRY_TOTAL: how long it has waited in all for the cap and for block-table
# entries. P_CRED_FIRST, P_CRED_END: where the ring of its credits begins and ends; P_CRED_HEAD, P_CRED_TAIL: the first
# of them and where the next one goes, equal when there is none.
#
# Every read touches the first three cache lines and no more than a cell or two of what follows.
(
    P_HEAD,
    P_RUN,
    P_OFF,
    P_FREE,
    P_INFLIGHT,
    P_CRED_HEAD,
    P_CRED_TAIL,
    P_SEQ,
    P_INGRESS,
    P_BLOCKED,
    P_CAP_TOTAL,
    P_RING_POS,
    P_PART,
    P_PAGE,
    P_NUMBER,
    P_CRED_FIRST,
    P_CRED_END,
    P_TAIL,
    P_EGRESS,
    P_ENTRY_TOTAL,
    P_TLB,
    P_ASSIST,
    P_ENTRIES,
    P_X_FETCH,
    P_X_AT,
    P_X_FREE,
    P_X_GATE,
    P_X_SEQ,
) = range(28)
RING = 128
"""Waits that a port remembers, to tell how long a fetch waited behind others: when each ended, and its length, above 0
for the cap and below 0 for block-table entries."""
P_RING = 32
PORT_COLS = P_RING + 2 * RING + 8
"""Whole cache lines, and an odd number of them, so that the same cells of all ports do not meet in few sets of a
processor's caches."""

# Columns of an L2 slice. S_TAGS: position of its tags; S_LINK: cell of the link that leaves its partition. What every
# request touches is one cache line.
(
    S_FREE,
    S_COPY_FREE,
    S_INFLIGHT,
    S_STALL_HEAD,
    S_STALL_TAIL,
    S_STAMP,
    S_TAGS,
    S_PART,
    S_LINK,
    S_NUMBER,
    S_SEQ,
) = range(11)
SLICE_COLS = 16

# Header of a channel's row, behind the event's columns. C_CHANGED: row commands may have become possible since
# C_ROW_AT, when the next one is, was found; C_LOOKED: direction of that look; C_START: when the first train can start,
# 0 when that must be found anew. C_WAKE: when to look next; C_SEEN: last look. C_PAIR: the channel that keeps the
# row-command bus which C_PARTNER shares, and is the event of both: C_EVENT, when that is queued; C_ROW_USER: who used
# the bus last; C_ROW_WAITS: only the bus holds up a row command. C_SHORT, C_LONG: trains in progress (`hbm_bus`).
#
# C_CLOSED, C_HELD: banks that trains wait for or hit (`hbm_claims`), of reads, then of writes; C_CAPPED: banks whose
# open row has served as many accesses as may go before a conflict; C_BEST: key of the train that starts at C_START,
# NEVER when that is not known; C_TODO: banks for which C_ROW_AT was found; C_STALE: it may have become later, or
# another channel not need the bus any more, which is seen when the queue changes next. C_NEXT: key of the next train,
# but for its bank; C_OLDEST: key of the oldest one; C_YOUNGEST: cell where the next one's goes; C_BEFORE: cell that has
# the key of C_BEST. What a read on its way here touches comes first (C_LATEST: the latest arrival so far), then what
# says which banks and trains will be looked at (`loads_ahead`; C_TRAINS: how many the scheduler sees).
(
    C_READ_ACC,
    C_READ_HEAD,
    C_READ_TAIL,
    C_LATEST,
    C_WRITE_ACC,
    C_WRITE_HEAD,
    C_WRITE_TAIL,
    C_TRAINS,
    C_CLOSED,
    C_CLOSED_TO_WRITES,
    C_HELD,
    C_HELD_BY_WRITES,
    C_WAKE,
    C_EVENT,
    C_PARTNER,
    C_PAIR,
    C_SEEN,
    C_START,
    C_BEST,
    C_REFRESH,
    C_REFRESH_BANK,
    C_READ_AT,
    C_WRITE_AT,
    C_ACT_AT,
    C_CHANGED,
    C_DRAIN,
    C_LAST_DIR,
    C_ROW_AT,
    C_LOOKED,
    C_ROW_BUS,
    C_ROW_USER,
    C_ROW_WAITS,
    C_SHORT_LAST,
    C_LONG_FIRST,
    C_LONG_LAST,
    C_CAPPED,
    C_TODO,
    C_STALE,
    C_NEXT,
    C_OLDEST,
    C_OLDEST_WRITE,
    C_YOUNGEST,
    C_YOUNGEST_WRITE,
    C_BEFORE,
    C_FAW_POS,
    C_FAW,
) = range(4, 50)
STAMP_COLS = 15
"""As many as `stamps.Stamp` has."""
# Columns of a fetch, which has a row of the pool from its submission until its stamps have been taken. Rows for fetches
# are listed apart (Q_FETCH_HEAD): they are out for long, and requests shall meet at few rows, which caches hold.
# F_SUBMIT to F_WAITED, the first and the last of the stamps, hold all of them once the fetch is complete; what is
# between is of use before only. F_RUN, F_RUN_END: positions of its first run and behind its last; F_WAITED: how long it
# waited for block-table entries, those of fetches before it too.
(
    F_SUBMIT,
    F_LEFT,
    F_ISSUED,
    F_BLOCKED,
    F_RUN,
    F_RUN_END,
    F_KIND,
    F_CLASS,
    F_INDEX,
) = range(9)
F_STAMPS = F_SUBMIT
F_WAITED = F_STAMPS + STAMP_COLS - 1
# F_FIRST: its first block-table entry, counted over the port; F_HEAD_AT: when it was first in line at its port, -1
# before; F_UNKNOWN: entries not yet known; F_READY: when the last became known; F_KEPT: whether the row stays when the
# fetch is complete. Between them is HEAP_SLOT, which is the heap's in every row of the pool.
F_NEXT, F_ENTRY, F_ENTRY_END, F_FIRST, F_HEAD_AT = range(F_WAITED + 1, HEAP_SLOT)
F_UNKNOWN, F_READY, F_KEPT = range(HEAP_SLOT + 1, CHUNK_COLS)
LOG_COLS = 7
"""Of a row of the command log (`hbm_log`)."""
# A run: address, bytes.
R_ADDR, R_BYTES, RUN_COLS = range(3)
# A fetch that is complete: when, at which SM, its index; FINISHED in its place: the SM's pipeline has computed all.
OUT_TIME, OUT_SM, OUT_FETCH, OUT_COLS = range(4)
FINISHED = -1
LAST_ENTRY = 1
"""Set in the address of a block-table entry: the last of a CTA's list."""
# Who asked for a fetch.
NOBODY, BY_PYTHON, BY_PIPELINE = range(3)
# A credit of a port: when it came back, bytes.
CREDIT_AT, CREDIT_BYTES, CREDIT_COLS = range(3)

PARAMS = 112
"""Cells for parameters."""
# Q_MAPPED: the shared TLB holds every page of the launch, for good, since none is ever walked (`tlb`). Of windows: how
# long they are, how many there were, when the last one began and the next one shall, complete fetches told of in it,
# and those of them that are for Python, which lie first (`windows`).
(
    Q_LOG,
    Q_LOG_END,
    Q_COVERED,
    Q_NEXT,
    Q_LAST,
    Q_CROWD,
    Q_COUNT,
    Q_HEAP,
    Q_FREE_HEAD,
    Q_FREE_COUNT,
    Q_FETCH_HEAD,
    Q_FETCH_COUNT,
    Q_OUT,
    Q_GROW,
    Q_WALKS,
    Q_WALK_END,
    Q_WALKING,
    Q_WALK_HEAD,
    Q_WALK_TAIL,
    Q_MAPPED,
    Q_WINDOW,
    Q_WINDOWS,
    Q_BEGAN,
    Q_FOLLOWING,
    Q_TOLD,
    Q_DUE,
    AT_PORTS,
    AT_CREDITS,
    AT_SLICES,
    AT_LINKS,
    AT_PORT_TLBS,
    AT_TLB,
    AT_WALKERS,
    AT_PORT_ASSISTS,
    AT_ASSIST,
    AT_ENTRIES,
    AT_LLC,
    AT_CHANNELS,
    AT_PLACES,
    AT_WORDS,
    AT_AGENDA,
    AT_TAGS,
    AT_RUNS,
    AT_OUT,
    AT_LOG,
    AT_CLASSES,
    AT_HEAP,
    AT_CHUNKS,
) = range(PARAMS, PARAMS + 48)
COUNTER_BASE = PARAMS + 56
RECIPROCALS = COUNTER_BASE + 64
"""By what `division` multiplies in place of dividing by a parameter: one cell for each of them."""
FIRST_SECTION = RECIPROCALS + PARAMS
