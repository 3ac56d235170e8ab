"""Prefix-chained block ids of prompts, checked, and split to a smaller page where one is asked for."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels_ref.errors import InputError
from kernels_ref.trace_problems import TraceProblems

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BlockIds:
    """Ids of N prompts in compressed rows: prompt i has `ids[ptr[i]:ptr[i + 1]]`, one id per `block_tokens`
    tokens, the last one for a part-filled block where the length is no multiple."""

    block_tokens: int
    ptr: Int64
    """[N + 1]"""
    ids: Int64
    """[P]"""

    def row(self, request: int) -> Int64:
        return self.ids[self.ptr[request] : self.ptr[request + 1]]

    @staticmethod
    def checked(
        rows: list[Int64],
        lengths: Int64,
        lines: list[int],
        block_tokens: int | None,
        problems: TraceProblems,
    ) -> "BlockIds":
        """Build from the file's rows. Raises InputError for a wrong block size and for ids that break the
        chain."""
        counts = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        ptr = np.concatenate(([0], np.cumsum(counts)))
        flat = np.concatenate(rows)
        size = block_tokens or infer_block_tokens(counts, lengths, lines, problems)
        for row in np.flatnonzero(counts != -(-lengths // size)):
            problems.add(
                lines[row],
                "hash_ids",
                f"{counts[row]} ids for {lengths[row]} tokens",
                f"blocks of {size} tokens need {-(-int(lengths[row]) // size)} (wrong block size?)",
            )
        problems.raise_if_any()
        _check_chain(flat, ptr, lines, problems)
        return BlockIds(size, ptr, flat)

    def split(self, page_tokens: int, lengths: Int64) -> "BlockIds":
        """Pages of `page_tokens`, which must divide the block: id h becomes pages (h, 0), (h, 1), ... This
        keeps the recorded reuse exactly and invents no sharing inside a block. Raises InputError
        otherwise."""
        if page_tokens < 1 or self.block_tokens % page_tokens:
            raise InputError(
                f"block_tokens: found {page_tokens}; the trace has {self.block_tokens}-token blocks, "
                f"allowed are its divisors (ids cannot be merged or cut elsewhere)"
            )
        parts = self.block_tokens // page_tokens
        if parts == 1:
            return self
        counts = -(-lengths // page_tokens)
        ptr = np.concatenate(([0], np.cumsum(counts)))
        within = np.arange(ptr[-1]) - np.repeat(ptr[:-1], counts)
        block = np.repeat(self.ptr[:-1], counts) + within // parts
        return BlockIds(page_tokens, ptr, self.ids[block] * parts + within % parts)

    def dense(self) -> tuple[npt.NDArray[np.int32], int]:
        """Ids renumbered 0..U-1, and U."""
        unique, inverse = np.unique(self.ids, return_inverse=True)
        return inverse.astype(np.int32), len(unique)


def infer_block_tokens(counts: Int64, lengths: Int64, lines: list[int], problems: TraceProblems) -> int:
    """The block size B with ids == ceil(length / B) in every row: the smallest power of two, at least 16,
    that fits."""
    if (counts < 1).any():
        row = int(np.flatnonzero(counts < 1)[0])
        problems.add(lines[row], "hash_ids", "none", "at least one id per prompt")
        problems.raise_if_any()
    least = int((-(-lengths // counts)).max())
    several = counts > 1
    # ceil(n / B) >= c needs n > (c - 1) B.
    most = int(((lengths[several] - 1) // (counts[several] - 1)).min()) if several.any() else None
    size = 16
    while size < least:
        size *= 2
    if most is not None and size > most:
        row = int(np.flatnonzero(several)[np.argmin((lengths[several] - 1) // (counts[several] - 1))])
        problems.add(
            lines[row],
            "hash_ids",
            f"{counts[row]} ids for {lengths[row]} tokens",
            "one id per equal block of 16, 32, 64, ... tokens throughout the file",
        )
        problems.raise_if_any()
    return size


def _check_chain(flat: Int64, ptr: Int64, lines: list[int], problems: TraceProblems) -> None:
    """Each id has one predecessor wherever it occurs: otherwise equal ids would not mean equal prefixes."""
    if len(flat) == 0:
        return
    parent = np.concatenate(([-1], flat[:-1]))
    starts = ptr[:-1][np.diff(ptr) > 0]
    parent[starts] = -1
    _, first, inverse = np.unique(flat, return_index=True, return_inverse=True)
    wrong = np.flatnonzero(parent != parent[first][inverse])
    for position in wrong[:20]:
        origin = int(first[inverse[position]])
        here, there = (int(np.searchsorted(ptr, p, side="right")) - 1 for p in (position, origin))
        found = f"id {flat[position]} after {_name(parent[position])}"
        before = f"it follows {_name(parent[origin])} at line {lines[there]}"
        problems.add(lines[here], "hash_ids", found, f"{before}; ids are prefix-chained")
    problems.raise_if_any()


def _name(parent: np.int64) -> str:
    return "nothing" if parent < 0 else f"id {parent}"
