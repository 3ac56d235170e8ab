"""Where KV blocks, scales, block tables, queries and outputs lie in device memory.

One pool per KV format and part (K, V, K scales, V scales), each aligned to 2 MiB, as runtimes allocate them.
`HND` stores a block as [heads, tokens, dim], so that one head of a block is one contiguous run; `NHD` stores
[tokens, heads, dim], so that one head is a run per token.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.formats import KV_STORAGE

ALIGN = 2 << 20

Int64 = NDArray[np.int64]


def align_up(address: int, alignment: int = ALIGN) -> int:
    return -(-address // alignment) * alignment


@dataclass(frozen=True)
class Part:
    """One of K, V, K scales, V scales for one format: `token_bytes` per head and token."""

    base: int
    token_bytes: int


@dataclass(frozen=True)
class AddressMap:
    """Byte addresses of everything that one launch touches.

    parts: [format][part] in the order K, (V), (K scales), (V scales); rank: [frames] index of each frame among
    those of its format.
    """

    layout: str
    heads: int
    page_tokens: int
    rank: Int64
    frame_format: NDArray[np.uint8]
    parts: tuple[tuple[Part, ...], ...]
    table_base: int
    directory_base: int
    query_base: int
    output_base: int
    partial_base: int
    end: int

    def run_start(
        self, part_base: Int64, token_bytes: Int64, frame: Int64, head: Int64, token: Int64
    ) -> Int64:
        """Address of (frame, head, token); arrays broadcast. Tokens count from the start of the frame."""
        frame_bytes = token_bytes * self.heads * self.page_tokens
        if self.layout == "HND":
            inner = (head * self.page_tokens + token) * token_bytes
        else:
            inner = (token * self.heads + head) * token_bytes
        address: Int64 = part_base + self.rank[frame] * frame_bytes + inner
        return address


def _parts(fmt: str, dims: tuple[int, ...]) -> list[int]:
    storage = KV_STORAGE[fmt]
    scales = [storage.scale_bytes_for(dim) for dim in dims]
    return [storage.data_bytes(dim) for dim in dims] + [s for s in scales if s]


def build_address_map(step: Step, layout: str, table_entry_bytes: int, base: int = 0) -> AddressMap:
    """Lay the pools out one after the other, then block table, its directory (a line per sequence), Q, O, partials."""
    geometry = step.geometry
    dims = (geometry.head_dim,) if geometry.latent else (geometry.head_dim, geometry.value_dim)
    rank = np.zeros(step.frames, np.int64)
    address = align_up(base)
    parts: list[tuple[Part, ...]] = []
    for index, fmt in enumerate(step.formats):
        frames = np.flatnonzero(step.frame_format == index)
        rank[frames] = np.arange(len(frames))
        row: list[Part] = []
        for size in _parts(fmt, dims):
            row.append(Part(address, size))
            address = align_up(address + len(frames) * geometry.kv_heads * step.page_tokens * size)
        parts.append(tuple(row))
    table_base = address
    directory_base = align_up(table_base + len(step.table) * table_entry_bytes, 128)
    query_base = align_up(directory_base + step.sequences * 128)
    rows = int(step.q_len.sum()) * geometry.q_heads
    output_base = align_up(query_base + rows * geometry.head_dim * 2)
    partial_base = align_up(output_base + rows * geometry.value_dim * 2)
    return AddressMap(
        layout=layout,
        heads=geometry.kv_heads,
        page_tokens=step.page_tokens,
        rank=rank,
        frame_format=step.frame_format,
        parts=tuple(parts),
        table_base=table_base,
        directory_base=directory_base,
        query_base=query_base,
        output_base=output_base,
        partial_base=partial_base,
        end=partial_base,
    )
