"""Block tables of many steps stored compactly: a row is an earlier row's beginning plus what follows it.

From step to step a sequence's row only grows, and forks and prefix hits repeat the beginning of another
row. So each distinct row is stored once, as (base row, shared entries, the rest); a row that came before
costs one number.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


@dataclass
class RowEncoder:
    """Collects the rows of one chunk of steps."""

    base: list[int] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    rest: list[Int32] = field(default_factory=list)
    _number: dict[bytes, int] = field(default_factory=dict)
    _latest: dict[int, tuple[int, Int32]] = field(default_factory=dict)

    def add(self, row: Int32) -> int:
        """The number of this row in the chunk."""
        name = row.tobytes()
        known = self._number.get(name)
        if known is not None:
            return known
        number = self._number[name] = len(self.base)
        base, other = self._latest.get(int(row[0]), (-1, row[:0])) if len(row) else (-1, row)
        shared = common_entries(row, other)
        self.base.append(base)
        self.shared.append(shared)
        self.rest.append(row[shared:])
        if len(row):
            self._latest[int(row[0])] = (number, row)
        return number

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        lengths = [len(part) for part in self.rest]
        return {
            "row_base": np.array(self.base, np.int32),
            "row_shared": np.array(self.shared, np.int32),
            "row_rest": np.concatenate([np.empty(0, np.int32), *self.rest]),
            "row_ptr": np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        }


def common_entries(left: Int32, right: Int32) -> int:
    """Length of the common beginning of two rows."""
    length = min(len(left), len(right))
    different = np.flatnonzero(left[:length] != right[:length])
    return int(different[0]) if len(different) else length


def decode_rows(base: Int32, shared: Int32, rest: Int32, ptr: Int64) -> list[Int32]:
    """All rows of a chunk by number. Raises ValueError if they contradict themselves."""
    rows: list[Int32] = []
    for number in range(len(base)):
        own = rest[ptr[number] : ptr[number + 1]]
        if base[number] < 0:
            rows.append(own)
            continue
        if base[number] >= number or shared[number] > len(rows[base[number]]):
            raise ValueError(f"row {number} continues a row that is not there")
        rows.append(np.concatenate((rows[base[number]][: shared[number]], own)))
    return rows
