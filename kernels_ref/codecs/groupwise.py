"""INT4 with a scale and a zero point per group, and the newest tokens unquantised (KIVI, arXiv 2402.02750).

Keys have outlier channels, so K is grouped along tokens, one scale per channel; V along channels, one scale
per token and channel group. A K group can only be closed when all its tokens are there, so the last tokens
stay in float16 until the residual window and a whole group have passed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.codecs.base import F32, Encoded, Values
from kernels_ref.codecs.packing import pack, unpack
from kernels_ref.codecs.rules import affine_codes, affine_parameters, affine_values
from kernels_ref.errors import InputError


@dataclass(frozen=True)
class GroupwiseCodec:
    """`per` is "channel" (for K: groups of tokens) or "token" (for V: groups of channels).

    Scale and zero point are kept in `parameters` (float16 as KIVI does, or float32).
    """

    per: str = "channel"
    group: int = 32
    residual: int = 32
    bits: int = 4
    parameters: str = "float16"
    name: str = "int4"

    def __post_init__(self) -> None:
        if self.per not in ("channel", "token"):
            raise InputError(f"per {self.per!r}; allowed: channel, token")
        if self.group < 1 or self.residual < 0:
            raise InputError(f"group {self.group}, residual {self.residual}; allowed: 1 and more, 0 and more")

    def quantised_tokens(self, tokens: int) -> int:
        """How many of the oldest tokens are stored as codes: whole groups outside the residual window."""
        return max(tokens - self.residual, 0) // self.group * self.group

    def encode(self, x: Values) -> Encoded:
        tokens, heads, dim = x.shape
        if self.per == "token" and dim % self.group:
            raise InputError(f"group {self.group} does not divide the head dimension {dim}")
        old = self.quantised_tokens(tokens)
        groups = self._grouped(x[:old])
        scale, zero = (p.astype(self.parameters) for p in affine_parameters(groups, self._axis, self.bits))
        codes = affine_codes(groups, scale.astype(np.float32), zero.astype(np.float32), self.bits)
        packed = pack(codes.reshape(old, heads, dim), self.bits)
        return Encoded(x.shape, packed, {"scale": scale, "zero": zero}, x[old:].astype(np.float16))

    def decode(self, stored: Encoded) -> F32:
        residual = np.zeros((0, *stored.shape[1:])) if stored.residual is None else stored.residual
        groups = self._grouped(unpack(stored.codes, self.bits))
        values = affine_values(groups, stored.scales["scale"], stored.scales["zero"])
        old = values.reshape(stored.codes.shape[0], *stored.shape[1:])
        return np.concatenate([old, residual]).astype(np.float32)

    @property
    def _axis(self) -> int:
        return 1 if self.per == "channel" else 3

    def _grouped(self, x: NDArray[Any]) -> NDArray[Any]:
        """[groups, group, heads, dim] per channel; [tokens, heads, groups, group] per token."""
        tokens, heads, dim = x.shape
        if self.per == "channel":
            return x.reshape(tokens // self.group, self.group, heads, dim)
        return x.reshape(tokens, heads, dim // self.group, self.group)
