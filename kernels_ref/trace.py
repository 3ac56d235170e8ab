"""What the engine hands to the simulator: the geometry of one step, without time and without values.

A `Step` says which sequences attend to which KV blocks in which physical frames, in what precision and
where the frames reside. The same objects are produced on the fly and stored in a trace file.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]

DEVICE = 0
"""Residency code of a frame in device memory; code i > 0 is `Step.tiers[i - 1]`."""


@dataclass(frozen=True)
class Geometry:
    """Shape of the attention that the step computes, per device (after tensor-parallel division)."""

    q_heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    window: int = 0
    """Visible tokens of a sliding window; 0 is full attention."""
    latent: bool = False
    """MLA: K and V are one latent row, stored and read once."""
    causal: bool = True
    """A new token sees itself and what is before it; otherwise the whole context (encoders, benchmarks)."""


@dataclass(frozen=True)
class Step:
    """One engine step. S sequences, P table entries in all, F frames in the pool."""

    phase: str
    geometry: Geometry
    page_tokens: int
    context: Int32
    """[S] KV tokens visible to the last new token, new tokens included."""
    q_len: Int32
    """[S] new tokens of each sequence."""
    table_ptr: Int64
    """[S + 1] row bounds in `table`."""
    table: Int32
    """[P] frame of each page, in order of position."""
    frame_format: UInt8
    """[F] index into `formats`."""
    frame_residency: UInt8
    """[F] DEVICE, or 1 + index into `tiers`."""
    formats: tuple[str, ...] = ("fp16",)
    tiers: tuple[str, ...] = ()
    appends: Int32 = field(default_factory=lambda: np.empty((0, 3), np.int32))
    """[A, 3] sequence, position, frame of each token written in this step."""
    copies: Int32 = field(default_factory=lambda: np.empty((0, 2), np.int32))
    """[C, 2] source and destination frame of each copy-on-write before the step."""

    @property
    def sequences(self) -> int:
        return len(self.context)

    @property
    def frames(self) -> int:
        return len(self.frame_format)

    def row(self, sequence: int) -> Int32:
        """Frames of one sequence in order of position."""
        return self.table[self.table_ptr[sequence] : self.table_ptr[sequence + 1]]
