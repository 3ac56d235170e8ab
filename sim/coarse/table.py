"""When a CTA at tile grain knows where its blocks lie: reads of block-table lines, which CTAs share.

A read takes its turn at the port of its SM, behind the tiles that are in line there: with the cap on bytes in flight
reached, those of other CTAs hold it up. The first CTA that reads a line brings it to L2; those that ask meanwhile wait
with it.
"""

from sim.coarse import columns as c
from sim.coarse.channels import at_slice, farther, line_wait
from sim.coarse.heap import KINDS, KNOWN, START, schedule
from sim.coarse.jit import compiled, inlined
from sim.coarse.path import note_due
from sim.coarse.port import group_of, join, pass_on
from sim.coarse.shares import ONE
from sim.coarse.state import (
    FIRST_LINE,
    G_HBM,
    P_INGRESS,
    P_QUEUED,
    S_ASKED,
    S_CTA,
    S_LOOKS,
    SHARED,
    SLOT_COLS,
    Grid,
    State,
)
from sim.coarse.tags import Cache, share_held
from sim.coarse.units import SM_COLS


@inlined
def slots(d: Grid) -> int:
    """Of all SMs; look-ups in line are numbered behind them."""
    return int(d.p[c.SMS] * d.p[c.CTAS_PER_SM])


@inlined
def is_look_up(d: Grid, in_line: int) -> bool:
    """Whether what is in line at a port is a look-up."""
    return bool(in_line >= slots(d))


@inlined
def look_up_of(d: Grid, slot: int) -> int:
    """A slot's look-up, as it is put in line; and the other way round."""
    return slot + slots(d)


@inlined
def slot_of(d: Grid, in_line: int) -> int:
    """Whose look-up it is."""
    return in_line - slots(d)


@inlined
def first_found(d: Grid, cache: Cache, tile: int, group: int) -> int:
    """Share of a CTA's first tile that L2 holds before anybody asks for it, in 1/65536."""
    return int(share_held(cache, d.objects[tile], group) if d.p[c.LOOKS_UP] else d.hit[tile])


@compiled
def line_at(d: Grid, s: State, cache: Cache, slot: int, now: int) -> int:
    """When a slot's CTA whose look-up leaves the port now has the line that it asked for.

    Who asks for a line first finds it in L2 as far as KV that is as old as it was: that of the tile before a further
    line, since both age with what passes, and warm that of a CTA's first tile. Others find it there. Cold, nobody has
    asked for a line before; with one queue for all channels what sequences share of their KV stands for it too.
    """
    p, sm = d.p, slot % d.p[c.SMS]
    cta, line = s.slots[slot * SLOT_COLS + S_CTA], d.tables[s.slots[slot * SLOT_COLS + S_CTA]]
    found, arrival = 0, now + p[c.WAY_IN]
    if s.slots[slot * SLOT_COLS + S_LOOKS] == FIRST_LINE:
        if p[c.WARM] and s.tables[line] == 0:
            found = first_found(d, cache, d.tile_ptr[cta], group_of(d, sm))
    else:
        tile = s.slots[slot * SLOT_COLS + S_ASKED]
        line += (tile - d.tile_ptr[cta]) // p[c.LOOK_UP] * p[c.LOOK_LINES]
        if p[c.WARM] or p[c.CHANNELS] == 0:
            found = d.hit[tile - 1]
    l2 = max(0, s.g[SHARED + group_of(d, sm)] - arrival)
    at = now + p[c.TABLE_HIT]
    if p[c.CHANNELS]:
        l2 = max(l2, at_slice(d, s, line, group_of(d, sm), arrival))
        at += farther(d, line, group_of(d, sm)) if p[c.COPIES] else 0
    at += l2
    if s.tables[line] == 0:
        beyond = p[c.TABLE_MISS] - p[c.TABLE_HIT]
        if p[c.CHANNELS]:
            beyond += line_wait(d, s, line, arrival + l2, found)
        else:
            beyond += max(0, s.g[G_HBM] - arrival - l2)
        s.tables[line] = at + ((beyond * (ONE - found)) >> 16)
    at = max(at, s.tables[line])
    return int(at + min(s.sms[sm * SM_COLS + P_QUEUED], max(0, s.sms[sm * SM_COLS + P_INGRESS] - at)))


@inlined
def look_up(d: Grid, s: State, slot: int, which: int) -> None:
    """A CTA asks for a line of its block table."""
    s.slots[slot * SLOT_COLS + S_LOOKS] = which
    join(d, s, slot % d.p[c.SMS], look_up_of(d, slot))


@inlined
def looked_up(d: Grid, s: State, cache: Cache, slot: int, now: int) -> None:
    """A look-up leaves its port: the first one of a CTA opens its start, others the tiles that wait for them."""
    sm = slot % d.p[c.SMS]
    pass_on(d, s, sm)
    at = line_at(d, s, cache, slot, now)
    kind = START if s.slots[slot * SLOT_COLS + S_LOOKS] == FIRST_LINE else KNOWN
    note_due(d, s, sm, d.p[c.LINE_BYTES], at)
    schedule(s.heap, at, slot * KINDS + kind)
