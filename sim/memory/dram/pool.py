"""Queued accesses: a pool of entries with a free list, doubly linked FIFOs, and completion bookkeeping.

An address filter counts queued accesses per hash of their address, so that merging and forwarding (rare)
cost one load when nothing matches.
"""

# mypy: disable-error-code="no-any-return"
# (numpy types an element of an array as Any)

from sim.memory.dram.jit import compiled
from sim.memory.dram.layout import (
    A_BANK,
    A_LINK,
    A_REQ,
    A_ROW,
    A_TAG,
    A_WR,
    E_ACC,
    E_ARRIVE,
    E_BANK,
    E_NEXT,
    E_PREV,
    E_ROW,
    E_SEQ,
    E_WR,
    FILTER0,
    FILTER_SIZE,
    G_FINISHED,
    G_LAST_DONE,
    G_PENDING,
    G_RETIRED,
    H_FREE,
    H_SEQ,
    R_DONE,
    R_LEFT,
    R_TAKEN,
    RING,
    RING0,
    IntArray,
)


@compiled
def new_entry(S: IntArray, base: int, k: int, t: int) -> int:
    """Take a free entry for the access at offset `k`, arrived at `t`; returns its offset."""
    e = S[base + H_FREE]
    S[base + H_FREE] = S[e + E_NEXT]
    S[e + E_ROW] = S[k + A_ROW]
    S[e + E_ACC] = k
    S[e + E_SEQ] = S[base + H_SEQ]
    S[e + E_ARRIVE] = t
    S[e + E_WR] = S[k + A_WR]
    S[e + E_BANK] = S[k + A_BANK]
    S[base + H_SEQ] += 1
    return e


@compiled
def free_entry(S: IntArray, base: int, e: int) -> None:
    S[e + E_ACC] = -1
    S[e + E_NEXT] = S[base + H_FREE]
    S[base + H_FREE] = e


@compiled
def append(S: IntArray, head: int, tail: int, e: int) -> None:
    """Append `e` to the FIFO whose head and tail live at offsets `head` and `tail` of S."""
    last = S[tail]
    S[e + E_PREV] = last
    S[e + E_NEXT] = -1
    if last < 0:
        S[head] = e
    else:
        S[last + E_NEXT] = e
    S[tail] = e


@compiled
def unlink(S: IntArray, head: int, tail: int, e: int) -> None:
    before = S[e + E_PREV]
    after = S[e + E_NEXT]
    if before < 0:
        S[head] = after
    else:
        S[before + E_NEXT] = after
    if after < 0:
        S[tail] = before
    else:
        S[after + E_PREV] = before


@compiled
def filter_slot(S: IntArray, base: int, k: int, wr: int) -> int:
    tag = S[k + A_TAG]
    mixed = tag ^ (tag >> 8) ^ (tag >> 16)
    return base + FILTER0 + wr * FILTER_SIZE + (mixed & (FILTER_SIZE - 1))


@compiled
def find_in(S: IntArray, e: int, k: int, wr: int) -> int:
    """First entry from `e` on with the address of access `k` and direction `wr`, or -1."""
    while e >= 0 and (S[e + E_WR] != wr or S[S[e + E_ACC] + A_TAG] != S[k + A_TAG]):
        e = S[e + E_NEXT]
    return e


@compiled
def finish_access(S: IntArray, k: int, t: int) -> None:
    """Access `k` is done at tick `t`; its request completes with its last access."""
    r = S[k + A_REQ]
    done = max(S[r + R_DONE], t)
    S[r + R_DONE] = done
    S[r + R_LEFT] -= 1
    if S[r + R_LEFT] == 0:
        S[G_FINISHED] += 1
        S[G_PENDING] += 1
        S[G_LAST_DONE] = max(S[G_LAST_DONE], done)
        # A posted write may finish in a tick whose completions have already been counted: it counts next.
        S[RING0 + (max(done, S[G_RETIRED] + 1) & (RING - 1))] += 1


@compiled
def finish_chain(S: IntArray, k: int, t: int) -> None:
    """Finish access `k` and every read that was merged into it."""
    while k >= 0:
        following = S[k + A_LINK]
        finish_access(S, k, t)
        k = following


@compiled
def take_access(S: IntArray, k: int, t: int) -> None:
    """The controller has taken access `k` at tick `t`."""
    S[S[k + A_REQ] + R_TAKEN] = t
