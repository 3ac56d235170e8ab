"""Inline ECC: check bits that lie in the memory which they protect cost accesses of their own.

One access to the memory holds the check bits of a block of data (GDDR6: 32 bytes for 512, 2 for each sector). They lie
in the row of the data, so that no further row is opened, and the access to them is one more of the train that needs
them. For each bank the controller holds the check bits used last: trains to one block that the scheduler serves one
after the other in their bank share the access, whether they are pieces of a run (at exact grain, L2 lines) or of
different fetches.

A write costs the same as a read. L2 writes whole sectors, each with its own part of the check bits, which GDDR6 writes
under a byte mask; nothing is read first for a block that is written in part.
"""

from sim.memory.counters import INDEX
from sim.memory.hbm_claims import BANK, E_ALONE, E_KEY, E_LEFT, E_NODE
from sim.memory.jit import compiled
from sim.memory.layout import ADDR, PLACE, Memory
from sim.memory.params import Param
from sim.memory.request import CHECKED, owns

ECC_SHIFT, OFF_ECC, CCD_L = int(Param.ECC_SHIFT), int(Param.OFF_ECC), int(Param.CCD_L)
ACCESS_SHIFT, SECTOR_SHIFT = int(Param.ACCESS_SHIFT), int(Param.SECTOR_SHIFT)
GRANULE_SHIFT = int(Param.GRANULE_SHIFT)
N_ECC = INDEX["hbm_ecc"]


@compiled
def check(m: Memory, c: int, entry: int, counter: int) -> None:
    """A train is about to be served, or its next access is: add the accesses to check bits that its bank does not hold.

    `counter`: cell of the accesses that the scheduler sees.
    """
    node = m[entry + E_NODE]
    if m[node + PLACE] & CHECKED:
        return
    m[node + PLACE] |= CHECKED
    held = c + m[OFF_ECC] + (m[entry + E_KEY] & BANK)
    at = m[node + ADDR] >> m[GRANULE_SHIFT] << m[GRANULE_SHIFT]
    mask = owns(m, node)
    count = 0
    while mask:
        if mask & 1 and m[held] != at >> m[ECC_SHIFT]:
            m[held] = at >> m[ECC_SHIFT]
            count += 1
        at += 1 << m[SECTOR_SHIFT]
        mask >>= 1
    m[entry + E_LEFT] += count
    m[entry + E_ALONE] += 2 * count * m[CCD_L]
    m[counter] += count
    m[N_ECC] += count << m[ACCESS_SHIFT]
