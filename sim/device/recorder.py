"""What happened on the SMs, as rows (sm, code, begin, end); the account is made from it afterwards.

Codes are indices into `sim.causes.CAUSES`, and RESIDENT for the life of a CTA. Recording costs the event loop
one array append; the account sweeps the rows once, in compiled code.
"""

from array import array

import numpy as np
from numpy.typing import NDArray

from sim.causes import CAUSES

RESIDENT = len(CAUSES)


class Recorder:
    """Rows of one run, in order of recording."""

    def __init__(self) -> None:
        self._rows = array("q")

    def add(self, sm: int, code: int, begin: int, end: int) -> None:
        if end > begin:
            self._rows.extend((sm, code, begin, end))

    def rows(self) -> NDArray[np.int64]:
        """[N, 4] sm, code, begin_ps, end_ps."""
        return np.frombuffer(self._rows, np.int64).reshape(-1, 4)
