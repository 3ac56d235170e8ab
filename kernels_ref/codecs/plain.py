"""Unscaled 16-bit formats: the baseline that every other format is compared with."""

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from kernels_ref.codecs.base import F32, Encoded, Values

DTYPES: dict[str, np.dtype[Any]] = {"fp16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}


@dataclass(frozen=True)
class PlainCodec:
    """fp16 or bf16, round to nearest even."""

    name: str

    def encode(self, x: Values) -> Encoded:
        return Encoded(x.shape, x.astype(DTYPES[self.name]))

    def decode(self, stored: Encoded) -> F32:
        return stored.codes.astype(np.float32)
