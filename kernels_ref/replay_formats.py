"""Precision of the replay's frames: each key and value vector of one token and head has its own scale.

Real caches share scales over larger groups; the replay needs codes and scales that are stored apart, so that
a wrong scale or a missing conversion gives wrong numbers, and that tokens can be appended one by one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.codecs.microscaling import exponent_scale, shared_exponent
from kernels_ref.codecs.minifloat import minifloat
from kernels_ref.codecs.plain import DTYPES
from kernels_ref.codecs.rules import INT8_MAX, affine_codes, affine_parameters, float_codes, int8_codes
from kernels_ref.errors import InputError

F32 = NDArray[np.float32]
Coded = tuple[F32, F32, F32]
"""Code values [..., D], scale [...], zero [...]; the value is code * scale + zero."""

FP8_TYPES = {"fp8_e4m3": "float8_e4m3fn", "fp8_e5m2": "float8_e5m2"}
MX_TYPES = {"mxfp4": ("float4_e2m1fn", 2), "mxfp8": ("float8_e4m3fn", 8), "mxfp8_e5m2": ("float8_e5m2", 15)}


def encode_vectors(name: str, x: F32) -> Coded:
    """Codes of vectors along the last axis. Raises InputError for an unknown format."""
    if name in DTYPES:
        codes = x.astype(DTYPES[name]).astype(np.float32)
        return codes, np.ones(x.shape[:-1], np.float32), np.zeros(x.shape[:-1], np.float32)
    if name == "int4":
        scale, low = affine_parameters(x, axis=-1, bits=4)
        return affine_codes(x, scale, low, 4).astype(np.float32), scale[..., 0], low[..., 0]
    scale = _scale(name, x)
    codes = _codes(name, x, scale)
    return codes, scale[..., 0], np.zeros(x.shape[:-1], np.float32)


def _scale(name: str, x: F32) -> F32:
    largest = np.abs(x).max(axis=-1, keepdims=True)
    if name in FP8_TYPES:
        return _quotient(largest, minifloat(FP8_TYPES[name]).largest)
    if name in MX_TYPES:
        return exponent_scale(shared_exponent(x, MX_TYPES[name][1]))
    if name == "nvfp4":
        kind = minifloat("float8_e4m3fn")
        return kind.decode(kind.encode(_quotient(largest, 6.0)))
    if name == "int8":
        return _quotient(largest, INT8_MAX)
    known = (*DTYPES, "int4", "int8", "nvfp4", *FP8_TYPES, *MX_TYPES)
    raise InputError(f"kv format {name!r} cannot be replayed; allowed: {', '.join(known)}")


def _codes(name: str, x: F32, scale: F32) -> F32:
    if name == "int8":
        return int8_codes(x, scale).astype(np.float32)
    kind = minifloat(FP8_TYPES.get(name) or MX_TYPES.get(name, ("float4_e2m1fn", 0))[0])
    return kind.decode(float_codes(x, scale, kind))


def _quotient(largest: NDArray[Any], limit: float) -> F32:
    return (largest / np.float32(limit)).astype(np.float32)


class Pages:
    """Coded K and V of pages: codes [pages * page_tokens, Hkv, 2, D], scale and zero without D.

    With `scaled` False every format in use is plain (fp16, bf16): scales are 1 and zeros 0 everywhere.
    """

    def __init__(self, pages: int, page_tokens: int, kv_heads: int, head_dim: int, *, scaled: bool) -> None:
        self.scaled = scaled
        shape = (pages * page_tokens, kv_heads, 2)
        self.page_tokens = page_tokens
        self.codes = np.full((*shape, head_dim), np.nan, np.float32)
        self.scale = np.ones(shape, np.float32)
        self.zero = np.zeros(shape, np.float32)

    def rows(self, page: int) -> slice:
        return slice(page * self.page_tokens, (page + 1) * self.page_tokens)

    def put(self, rows: Any, coded: Coded) -> None:
        self.codes[rows], self.scale[rows], self.zero[rows] = coded

    def get(self, rows: Any) -> Coded:
        return self.codes[rows], self.scale[rows], self.zero[rows]

    def values(
        self, rows: NDArray[np.int64], head: int, scale_rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """[T, heads, 2, D] in float64; head -1 is all heads. Scales may come from other rows than codes."""
        codes = self._take(self.codes, rows, head).astype(np.float64)
        if self.scaled:
            codes *= self._take(self.scale, scale_rows, head)[..., None]
            codes += self._take(self.zero, scale_rows, head)[..., None]
        return codes

    @staticmethod
    def _take(stored: F32, rows: NDArray[np.int64], head: int) -> F32:
        """Rows of one head, or of all; `take` on the flattened array is twice as fast as indexing."""
        if head < 0:
            return stored.take(rows, axis=0)
        heads = stored.shape[1]
        flat = stored.reshape(-1, *stored.shape[2:])
        taken: F32 = flat.take(rows * heads + head, axis=0)[:, None]
        return taken
