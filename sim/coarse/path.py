"""The way of a segment at tile grain: L2 of its SM's partition, memory for what is missing there, the port's ingress.

All servers are booked as of the arrival at L2, and the last to be done counts: work piles up in front of the slowest
only, and a booking ahead of time would keep a server idle that others could use before.
"""

import numpy as np
from numpy.typing import NDArray

from sim.coarse import columns as c
from sim.coarse.jit import compiled
from sim.coarse.state import (
    G_HBM,
    G_TAKEN,
    G_WRITTEN,
    P_EGRESS,
    P_INFLIGHT,
    P_INGRESS,
    P_RCOUNT,
    P_RHEAD,
    SHARED,
    Grid,
    State,
)
from sim.coarse.units import SM_COLS

Int64 = NDArray[np.int64]

ONE = 1 << 16


@compiled
def serve(g: Int64, server: int, arrival: int, size: int, cost_q16: int) -> int:
    """Take `size` bytes through a server; when they are through."""
    g[server] = max(arrival, g[server]) + ((size * cost_q16) >> 16)
    return int(g[server])


@compiled
def serve_at_homes(p: Int64, g: Int64, group: int, missing: int, arrival: int) -> int:
    """Take what `group` misses through the L2s and links of the partitions that are home to it."""
    groups = p[c.GROUPS]
    done = arrival
    for home in range(groups):
        if home != group:
            done = max(done, serve(g, SHARED + home, arrival, missing // groups, p[c.L2_Q16]))
            done = max(done, serve(g, SHARED + groups + home, arrival, missing // groups, p[c.LINK_Q16]))
    return int(done)


@compiled
def transfer(d: Grid, s: State, sm: int, part: int, tile: int, now: int) -> int:
    """Take a segment of a tile on its way; when it is at the SM.

    What is found comes no sooner than whoever fetched it has it in L2.
    """
    p = d.p
    arrival = now + p[c.WAY_IN]
    group = sm * p[c.GROUPS] // p[c.SMS]
    at = serve(s.g, SHARED + group, arrival, part, p[c.L2_Q16])
    found = max(at, s.fetched[d.objects[tile]]) if d.hit[tile] > 0 else at
    missing = (part * (ONE - d.hit[tile])) >> 16
    if missing > 0:
        at = max(at, serve(s.g, G_HBM, arrival, missing, p[c.HBM_Q16]))
        if p[c.COPIES]:
            at = max(at, serve_at_homes(p, s.g, group, missing, arrival))
        at += p[c.HBM_LATENCY]
        s.fetched[d.objects[tile]] = at
        s.g[G_TAKEN] += missing
    at = max(at, found) + p[c.L2_LATENCY]
    at = max(at + p[c.WAY_BACK], s.sms[sm * SM_COLS + P_INGRESS]) + ((part * p[c.INGRESS_Q16]) >> 16)
    s.sms[sm * SM_COLS + P_INGRESS] = at
    credits = d.p[c.CREDITS]
    tail = (s.sms[sm * SM_COLS + P_RHEAD] + s.sms[sm * SM_COLS + P_RCOUNT]) % credits
    s.due[sm * credits + tail] = at
    s.sizes[sm * credits + tail] = part
    s.sms[sm * SM_COLS + P_RCOUNT] += 1
    s.sms[sm * SM_COLS + P_INFLIGHT] += part
    return int(at)


@compiled
def store(d: Grid, s: State, sm: int, cta: int, now: int) -> int:
    """Write a CTA's output through its SM's port into L2; when that is acknowledged.

    What L2 takes in until the end pushes it out to memory, if that is more than L2 holds.
    """
    p = d.p
    size = d.output_ptr[cta + 1] - d.output_ptr[cta]
    at = max(now, s.sms[sm * SM_COLS + P_EGRESS]) + ((size * p[c.STORE_Q16]) >> 16)
    s.sms[sm * SM_COLS + P_EGRESS] = at
    for home in range(p[c.GROUPS]):
        at = max(at, serve(s.g, SHARED + home, now, size // p[c.GROUPS], p[c.L2_Q16]))
    s.g[G_TAKEN] += size
    if p[c.TAKES_IN] - s.g[G_TAKEN] > p[c.HOLDS]:
        serve(s.g, G_HBM, now, size, p[c.HBM_Q16])
        s.g[G_WRITTEN] += size
    return int(at + p[c.STORE])
