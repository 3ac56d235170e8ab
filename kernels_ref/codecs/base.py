"""What every codec is: values [tokens, heads, dim] to stored arrays and back, every stored byte counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Encoded:
    """What is stored for values of shape `shape`: packed codes, scales and zero points, unquantised rest.

    The arrays are those that a cache would hold, so bytes are read off them, not computed beside them.
    """

    shape: tuple[int, ...]
    codes: NDArray[Any]
    scales: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    residual: NDArray[Any] | None = None

    @property
    def values(self) -> int:
        return int(np.prod(self.shape))

    @property
    def code_bytes(self) -> int:
        """Bytes of codes and of values left unquantised."""
        return self.codes.nbytes + (0 if self.residual is None else self.residual.nbytes)

    @property
    def scale_bytes(self) -> int:
        """Bytes of scales and zero points."""
        return sum(scale.nbytes for scale in self.scales.values())

    @property
    def bits_per_value(self) -> float:
        """Stored bits per value, metadata included; 0 for no values."""
        return 8 * (self.code_bytes + self.scale_bytes) / self.values if self.values else 0.0


class Codec(Protocol):
    """A KV format. `encode` takes [tokens, heads, dim]; `decode` returns float32 of the same shape."""

    @property
    def name(self) -> str: ...

    def encode(self, x: Values) -> Encoded: ...

    def decode(self, stored: Encoded) -> F32: ...
