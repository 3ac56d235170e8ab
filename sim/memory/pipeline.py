"""Multistage software pipelines: who has an SM alone fetches tiles into stage buffers and computes them in order.

A tile is asked for when the one before has been, as soon as its bytes fit beside what the buffers hold and its gates
are open: the block-table line that names its pages is here, before that the root of the lines. A line is asked for with
the first tile that needs it, the next one ahead of its use. A tile is computed when it is here and the one before is
done; then its buffer is free, and what it writes is on its way.

Nothing here is decided by when it is looked at: instants follow from each other, as far as they are known. While it is
not known when a gate opens, tiles that are here are not computed yet; nothing that others see depends on them.
"""

from sim.memory.jit import compiled, inlined
from sim.memory.layout import Memory
from sim.memory.pipeline_layout import (
    ASK_AT,
    ASK_COLS,
    ASK_FETCH,
    ASK_KEPT,
    AT_TILES,
    AT_WAITS,
    AT_WORK,
    NO_LINE,
    NOT_ASKED,
    PL_AHEAD,
    PL_AHEAD_AT,
    PL_ASKED,
    PL_AT,
    PL_END,
    PL_FIRST,
    PL_HELD,
    PL_LAST_LINE,
    PL_LINE,
    PL_LINE_AT,
    PL_NEXT,
    PL_ON_ROOT,
    PL_OPEN,
    PL_RING,
    PL_ROOT,
    PL_ROOT_AT,
    PL_SHUT,
    PL_STARVED,
    PL_TILE,
    PS_ASKED,
    PS_ASKS,
    PS_BUFFER,
    PS_FETCH,
    PS_TILES,
    PS_WAITS,
    T_BYTES,
    T_CHAIN,
    T_COLS,
    T_HERE,
    T_LINE,
    T_PS,
    T_WRITE,
    TILE_COLS,
    UNKNOWN,
    WAIT_COLS,
)


@inlined
def work_of(p: Memory, tile: int) -> int:
    """Row of a tile."""
    return int(p[AT_WORK] + tile * T_COLS)


@compiled
def begin(p: Memory, r: int, now: int) -> None:
    """Fill the buffers: PL_TILE to PL_END, PL_ROOT and PL_LAST_LINE say what for."""
    p[r + PL_NEXT] = p[r + PL_TILE]
    p[r + PL_HELD] = 0
    p[r + PL_AT] = now
    p[r + PL_STARVED] = p[r + PL_SHUT] = UNKNOWN
    p[r + PL_ROOT_AT] = NOT_ASKED
    p[r + PL_LINE] = p[r + PL_AHEAD] = p[r + PL_OPEN] = NO_LINE
    pump(p, r, now)
    note_starved(p, r)


@compiled
def told(p: Memory, sm: int, r: int, fetch: int, time: int) -> bool:
    """A fetch of the SM is complete at `time`; whether its last tile is computed now, at PL_AT."""
    number = fetch - p[PS_FETCH]
    if p[r + PL_TILE] == p[r + PL_END]:
        return False  # nothing of it is left to be computed
    if p[r + PL_TILE] <= number < p[r + PL_END]:
        p[work_of(p, number) + T_HERE] = time
    elif number == p[r + PL_ROOT]:
        p[r + PL_ROOT_AT] = time
    elif number == p[r + PL_LINE]:
        p[r + PL_LINE_AT] = time
    elif number == p[r + PL_AHEAD]:
        p[r + PL_AHEAD_AT] = time
    else:
        return False  # a write
    return go(p, sm, r)


@compiled
def go(p: Memory, sm: int, r: int) -> bool:
    """Compute and ask for as much as is known; whether the last tile is computed."""
    while p[r + PL_TILE] < p[r + PL_END]:
        if p[r + PL_SHUT] == UNKNOWN:
            done = end_of_next(p, r)
            if done == UNKNOWN:
                return False
            compute(p, sm, r, done)
            pump(p, r, done)
            note_starved(p, r)
            continue
        opens = p[r + (PL_ROOT_AT if p[r + PL_ON_ROOT] else PL_LINE_AT)]
        if opens < 0:
            return False
        if opens < p[r + PL_SHUT]:  # it was open already
            pass_gate(p, r, p[r + PL_SHUT])
            note_starved(p, r)
        else:
            meanwhile(p, sm, r, opens)
    return True


@inlined
def end_of_next(p: Memory, r: int) -> int:
    """When the next tile will be done, UNKNOWN while it is not known when it is here."""
    work = work_of(p, p[r + PL_TILE])
    if p[r + PL_TILE] >= p[r + PL_NEXT] or p[work + T_HERE] == UNKNOWN:
        return UNKNOWN
    return int(max(p[r + PL_AT], p[work + T_HERE]) + p[work + T_PS])


@inlined
def meanwhile(p: Memory, sm: int, r: int, opens: int) -> None:
    """What happens before a gate that is shut opens, or that it opens. At one instant tiles are done first."""
    if p[r + PL_STARVED] == UNKNOWN:
        p[r + PL_STARVED] = 0
    if p[r + PL_TILE] == p[r + PL_NEXT]:
        note_wait(p, sm, r, opens)
        p[r + PL_AT] = opens
        p[r + PL_STARVED] = UNKNOWN
    else:
        done = end_of_next(p, r)
        if UNKNOWN < done <= opens:
            compute(p, sm, r, done)
            p[r + PL_STARVED] = 0
            return
    pass_gate(p, r, opens)
    note_starved(p, r)


@inlined
def note_starved(p: Memory, r: int) -> None:
    """All buffers are out while the next tile is waited for if there is a tile more that no gate keeps."""
    if p[r + PL_STARVED] == UNKNOWN and p[r + PL_SHUT] == UNKNOWN:
        p[r + PL_STARVED] = 1 if p[r + PL_NEXT] < p[r + PL_END] else 0


@inlined
def compute(p: Memory, sm: int, r: int, done: int) -> None:
    """Compute the next tile, which is done at `done`, and give its buffer back."""
    tile = p[r + PL_TILE]
    work = work_of(p, tile)
    at = p[AT_TILES] + p[PS_TILES] * TILE_COLS
    p[PS_TILES] += 1
    p[at] = sm
    p[at + 1] = tile + p[PS_FETCH]
    p[at + 2] = p[r + PL_AT]
    p[at + 3] = done - p[work + T_PS]
    p[at + 4] = p[r + PL_STARVED]
    p[at + 5] = p[work + T_CHAIN]
    p[r + PL_TILE] = tile + 1
    p[r + PL_AT] = done
    p[r + PL_HELD] -= p[work + T_BYTES]
    p[r + PL_STARVED] = UNKNOWN
    if p[work + T_WRITE] >= 0:
        ask(p, r, p[work + T_WRITE], done, 0)


@inlined
def note_wait(p: Memory, sm: int, r: int, until: int) -> None:
    """Nothing can be computed until a gate opens."""
    at = p[AT_WAITS] + p[PS_WAITS] * WAIT_COLS
    p[PS_WAITS] += 1
    p[at] = sm
    p[at + 1] = 1 if p[work_of(p, p[r + PL_NEXT]) + T_LINE] >= 0 else 0
    p[at + 2] = p[r + PL_AT]
    p[at + 3] = until


@compiled
def pump(p: Memory, r: int, at: int) -> None:
    """Ask, at the instant `at`, for every tile that buffers and gates allow then."""
    while p[r + PL_NEXT] < p[r + PL_END]:
        tile = p[r + PL_NEXT]
        work = work_of(p, tile)
        if p[r + PL_HELD] > 0 and p[r + PL_HELD] + p[work + T_BYTES] > p[PS_BUFFER]:
            return
        if p[work + T_LINE] != p[r + PL_OPEN] and not passes(p, r, p[work + T_LINE], at):
            p[r + PL_SHUT] = at
            return
        p[r + PL_NEXT] = tile + 1
        p[r + PL_HELD] += p[work + T_BYTES]
        ask(p, r, tile, at, 1)


@compiled
def passes(p: Memory, r: int, line: int, at: int) -> bool:
    """Whether the gates of a line are known to be open at `at`; from now on they are waited for."""
    if p[r + PL_ROOT] >= 0:
        if p[r + PL_ROOT_AT] == NOT_ASKED:
            p[r + PL_ROOT_AT] = UNKNOWN
            ask(p, r, p[r + PL_ROOT], at, 0)
        p[r + PL_ON_ROOT] = 1
        if not 0 <= p[r + PL_ROOT_AT] < at:
            return False
    if line >= 0:
        ask_for_lines(p, r, line, at)
        p[r + PL_ON_ROOT] = 0
        if not 0 <= p[r + PL_LINE_AT] < at:
            return False
    p[r + PL_OPEN] = line
    return True


@inlined
def ask_for_lines(p: Memory, r: int, line: int, at: int) -> None:
    """Ask for a line and for the one behind it, once."""
    if p[r + PL_LINE] != line:
        if p[r + PL_AHEAD] == line:
            p[r + PL_LINE_AT] = p[r + PL_AHEAD_AT]
        else:
            p[r + PL_LINE_AT] = UNKNOWN
            ask(p, r, line, at, 0)
        p[r + PL_LINE] = line
    if line < p[r + PL_LAST_LINE] and p[r + PL_AHEAD] != line + 1:
        p[r + PL_AHEAD] = line + 1
        p[r + PL_AHEAD_AT] = UNKNOWN
        ask(p, r, line + 1, at, 0)


@compiled
def pass_gate(p: Memory, r: int, at: int) -> None:
    """Go on at `at`, when a gate is open."""
    p[r + PL_SHUT] = UNKNOWN
    if p[r + PL_ON_ROOT]:
        p[r + PL_ROOT] = -1
    else:
        p[r + PL_OPEN] = p[r + PL_LINE]
    pump(p, r, at)


@inlined
def ask(p: Memory, r: int, number: int, at: int, kept: int) -> None:
    """Ask for a fetch of the launch from `at` on, which is not before what was asked for last."""
    place = (p[r + PL_FIRST] + p[r + PL_ASKED]) % p[PS_ASKS]
    cell = r + PL_RING + place * ASK_COLS
    p[r + PL_ASKED] += 1
    p[PS_ASKED] += 1
    p[cell + ASK_FETCH] = number + p[PS_FETCH]
    p[cell + ASK_AT] = at
    p[cell + ASK_KEPT] = kept


@inlined
def first_asked(p: Memory, r: int) -> int:
    """Place of what was asked for first and is not handed in, -1 when there is none."""
    return int(r + PL_RING + p[r + PL_FIRST] * ASK_COLS) if p[r + PL_ASKED] > 0 else -1


@inlined
def drop_first(p: Memory, r: int) -> None:
    """What was asked for first is handed in."""
    p[r + PL_ASKED] -= 1
    p[PS_ASKED] -= 1
    p[r + PL_FIRST] = (p[r + PL_FIRST] + 1) % p[PS_ASKS]
