"""Inline ECC at tile grain: what a fetch of short pieces costs the memory beyond its share of a contiguous stream.

The memory server's rate is that of a stream of whole blocks and has their check bits in it (`streaming`). Pieces
shorter than a block, or across blocks, touch more blocks for their bytes; tiles of several heads in the same blocks
share their check bits if they are fetched at about the same time (`path.check_bits`).
"""

import numpy as np
from numpy.typing import NDArray

from sim.coarse.shares import ONE
from sim.config.hardware import Hardware
from sim.lowering.launch import Launch
from sim.memory.peaks import ecc_share, standard


def further_check_bits(launch: Launch, hw: Hardware) -> NDArray[np.int64]:
    """[F] time on the memory's bus beyond that of a stream of as many bytes, as a share of it in 1/65536."""
    fetches, block = launch.fetches, hw.hbm.inline_ecc_bytes
    if block == 0:
        return np.zeros(len(fetches.run_ptr) - 1, np.int64)
    size = fetches.run_bytes.astype(np.int64)
    first = fetches.run_addr // block
    last = (fetches.run_addr + size - 1) // block
    touched = last - first + 1
    begins = fetches.run_ptr[:-1]
    shared = np.zeros(len(size), np.int64)
    shared[1:] = first[1:] == last[:-1]
    shared[begins] = 0
    blocks = np.add.reduceat(touched - shared, begins)
    whole = np.add.reduceat(size, begins)
    checks = blocks * standard(hw.hbm).access_bytes
    share = (whole + checks) / (whole * (1 + ecc_share(hw.hbm))) - 1
    added: NDArray[np.int64] = np.rint(np.maximum(0, share) * ONE).astype(np.int64)
    return added


def without_check_bits(hw: Hardware) -> int:
    """The same for a fetch whose check bits are all there: a stream's rate has a block's share of them in it."""
    share = ecc_share(hw.hbm)
    return round(-ONE * share / (1 + share))
