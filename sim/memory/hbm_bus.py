"""Column commands of a channel: slots of the data bus, bank groups, turnaround.

A train's accesses share a bank group and are tCCD_L apart, two bus slots in today's standards: one train alone
uses every other slot, and the accesses of a second one, of another group, lie between. Hence at most two trains
are in progress at a time. Of these the channel keeps the last slot of the one that ends first, and first and last
slot of the other, with whose slots a new train must not collide. At exact grain every train is one access.
"""

from sim.memory import hbm_log
from sim.memory.division import remainder
from sim.memory.hbm_bank import G_READ, G_WRITE
from sim.memory.hbm_claims import (
    B_GROUP,
    B_PRE,
    B_ROW,
    B_USED,
    BANK,
    E_KEY,
    E_LEFT,
    HITS_SHIFT,
    bank_at,
    group_at,
)
from sim.memory.jit import inlined
from sim.memory.layout import C_CAPPED, C_LONG_FIRST, C_LONG_LAST, C_READ_AT, C_SHORT_LAST, C_WRITE_AT, Memory
from sim.memory.params import Param

BURST, PITCH, CCD_L, TRAINS = int(Param.BURST), int(Param.PITCH), int(Param.CCD_L), int(Param.TRAINS)
WR_PRE, RTP, RTW = int(Param.WR_PRE), int(Param.RTP), int(Param.RTW)
WTR_S, WTR_L, HIT_CAP = int(Param.WTR_S), int(Param.WTR_L), int(Param.HIT_CAP)


@inlined
def slot(m: Memory, c: int, time: int) -> int:
    """First slot from `time` on for a train that collides with none in progress."""
    behind = m[c + C_LONG_LAST] + m[BURST]
    time = max(time, m[c + C_SHORT_LAST] + m[BURST])
    if time >= behind:
        return int(time)
    if m[PITCH] == m[BURST]:
        return int(behind)
    phase = remainder(m, time - m[c + C_LONG_FIRST], PITCH)
    if phase < m[BURST]:
        time += m[BURST] - phase
    elif phase > m[PITCH] - m[BURST]:
        time += m[PITCH] - phase + m[BURST]
    return int(min(time, behind))


@inlined
def send(m: Memory, c: int, entry: int, now: int, writing: int) -> int:
    """Send the column commands of a train (at exact grain: of its next access); returns the last one's time."""
    count = m[entry + E_LEFT] if m[TRAINS] else 1
    last = now + (count - 1) * m[PITCH]
    m[entry + E_LEFT] -= count
    occupy(m, c, now, last)
    bank = m[entry + E_KEY] & BANK
    at = bank_at(m, c, bank)
    group = group_at(c, m[entry + E_KEY])
    m[group + G_WRITE] = max(m[group + G_WRITE], last + m[CCD_L])
    if writing:
        m[group + G_READ] = max(m[group + G_READ], last + m[WTR_L])
        m[c + C_READ_AT] = max(m[c + C_READ_AT], last + m[WTR_S])
        m[at + B_PRE] = max(m[at + B_PRE], last + m[WR_PRE])
    else:
        m[group + G_READ] = max(m[group + G_READ], last + m[CCD_L])
        m[c + C_WRITE_AT] = max(m[c + C_WRITE_AT], last + m[RTW])
        m[at + B_PRE] = max(m[at + B_PRE], last + m[RTP])
    hits = m[at + B_GROUP] + (count << HITS_SHIFT)
    m[at + B_GROUP] = hits
    m[c + C_CAPPED] |= (hits >> HITS_SHIFT >= m[HIT_CAP]) << bank
    m[at + B_USED] = last
    kind = hbm_log.WR if writing else hbm_log.RD
    hbm_log.columns(m, c, now, kind, bank, m[at + B_ROW], count, m[PITCH])
    return int(last)


@inlined
def occupy(m: Memory, c: int, first: int, last: int) -> None:
    """Put a train in the place of the one in progress that ended first."""
    if last >= m[c + C_LONG_LAST]:
        m[c + C_SHORT_LAST] = m[c + C_LONG_LAST]
        m[c + C_LONG_FIRST] = first
        m[c + C_LONG_LAST] = last
    else:
        m[c + C_SHORT_LAST] = last
