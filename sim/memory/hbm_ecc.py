"""Inline ECC: check bits that lie in the memory which they protect cost accesses of their own.

One access to the memory holds the check bits of a block of data (GDDR6: 32 bytes for 512, 2 for each sector). They lie
in the row of the data, so that no further row is opened, and the access to them is one more of the train that needs
them. For each bank the controller holds the check bits used last: trains to one block that follow one another in their
bank share the access, whether they are pieces of a run (at exact grain, L2 lines) or of different fetches.

A write costs the same as a read. L2 writes whole sectors, each with its own part of the check bits, which GDDR6 writes
under a byte mask; nothing is read first for a block that is written in part.
"""

from sim.memory.counters import INDEX
from sim.memory.jit import compiled
from sim.memory.layout import Memory
from sim.memory.params import Param

ECC_SHIFT, OFF_ECC = int(Param.ECC_SHIFT), int(Param.OFF_ECC)
ACCESS_SHIFT, SECTOR_SHIFT = int(Param.ACCESS_SHIFT), int(Param.SECTOR_SHIFT)
GRANULE_SHIFT = int(Param.GRANULE_SHIFT)
N_ECC = INDEX["hbm_ecc"]


@compiled
def accesses(m: Memory, c: int, bank: int, addr: int, mask: int) -> int:
    """Accesses to check bits for the sectors `mask` of the granule at `addr`, in the order in which trains come to
    channel c.
    """
    held = c + m[OFF_ECC] + bank
    at = addr >> m[GRANULE_SHIFT] << m[GRANULE_SHIFT]
    count = 0
    while mask:
        if mask & 1 and m[held] != at >> m[ECC_SHIFT]:
            m[held] = at >> m[ECC_SHIFT]
            count += 1
        at += 1 << m[SECTOR_SHIFT]
        mask >>= 1
    m[N_ECC] += count << m[ACCESS_SHIFT]
    return count
