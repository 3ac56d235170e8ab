"""FlashMLA's plan (get_mla_metadata of its source): one persistent CTA per part of the SMs, all with equal payload.

Parts take the tiles of one sequence after another, and every sequence that a part begins or goes on with costs a fixed
number of tiles more. A sequence that does not end in a part goes on in the next one, so a part may hold the end of one
sequence, whole ones, and the beginning of another. All is said by two numbers: the most tiles that a part takes of one
sequence, and how much of that has been used up where a sequence begins.
"""

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


def part_tiles(tiles: Int64, parts: int, overhead: int) -> int:
    """Tiles that a part takes of a sequence that has it for itself. tiles: [B] of each sequence."""
    return -(-(int(tiles.sum()) + len(tiles) * overhead) // parts)


def begun_tiles(tiles: Int64, most: int, overhead: int) -> Int64:
    """[B] tiles by which the part of each sequence's first piece has less room left than `most`."""
    begun = np.zeros(len(tiles), np.int64)
    used = 0
    for sequence, count in enumerate(tiles.tolist()):
        used = 0 if used >= most else used
        begun[sequence] = used
        # the last of its pieces leaves its part with what is used up there, and the next sequence pays its own overhead
        used = (used + count - 1) % most + 1 + overhead
    return begun
