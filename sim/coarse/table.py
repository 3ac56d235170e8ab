"""When a CTA at tile grain knows where its blocks lie: reads of block-table lines, which CTAs share.

The first CTA that reads a line brings it to L2; those that ask meanwhile wait with it.
"""

from sim.coarse import columns as c
from sim.coarse.jit import compiled
from sim.coarse.shares import ONE
from sim.coarse.state import (
    G_HBM,
    P_INGRESS,
    P_QUEUED,
    S_ASKED,
    S_CTA,
    SLOT_COLS,
    Grid,
    State,
)
from sim.coarse.units import SM_COLS


@compiled
def first_line_at(d: Grid, s: State, cta: int, sm: int, now: int, asks: int) -> int:
    """When a CTA that asks for its first blocks at `asks` knows where they lie, memory and the port of its SM being as
    busy as they are `now`."""
    asks += d.p[c.ROOT]
    line = d.tables[cta]
    if line < 0:
        return asks
    if s.tables[line] == 0:
        s.tables[line] = asks + d.p[c.TABLE_MISS] + max(0, s.g[G_HBM] - now)
    at_port = max(0, s.sms[sm * SM_COLS + P_INGRESS] - now)
    return int(max(asks + d.p[c.TABLE_HIT] + at_port, s.tables[line]))


@compiled
def next_line_at(d: Grid, s: State, slot: int, now: int) -> int:
    """When a slot's CTA that asks `now` for the line of its next tile has it. Who asks first finds it in L2 as far as
    the KV of the tile before was, since both age with what passes; others find it there, or wait with that one."""
    cta, tile = s.slots[slot * SLOT_COLS + S_CTA], s.slots[slot * SLOT_COLS + S_ASKED]
    at_port = s.sms[slot % d.p[c.SMS] * SM_COLS + P_QUEUED]
    line = d.tables[cta] + (tile - d.tile_ptr[cta]) // d.p[c.LOOK_UP] * d.p[c.LOOK_LINES]
    if s.tables[line] == 0:
        beyond = d.p[c.TABLE_MISS] - d.p[c.TABLE_HIT] + max(0, s.g[G_HBM] - now - d.p[c.WAY_IN])
        s.tables[line] = now + d.p[c.TABLE_HIT] + ((beyond * (ONE - d.hit[tile - 1])) >> 16)
    return int(max(now + d.p[c.TABLE_HIT] + at_port, s.tables[line]))
