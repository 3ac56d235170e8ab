"""What a format costs in precision, against FP16, beside what it costs in bits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.attention import paged_attention
from kernels_ref.attention_options import AttentionOptions, Floats, RaggedBatch
from kernels_ref.attention_sources import PagedKV
from kernels_ref.codecs.base import F32, Codec, Values
from kernels_ref.codecs.registry import codec


@dataclass(frozen=True)
class ErrorStatistics:
    """Differences from the FP16 values: `sqnr_db` is 10*log10(signal power / error power), inf if exact."""

    rms: float
    max_abs: float
    mean: float
    sqnr_db: float

    @classmethod
    def between(cls, reference: Values, values: Values) -> "ErrorStatistics":
        error = values.astype(np.float64) - reference.astype(np.float64)
        power = float(np.mean(error**2)) if error.size else 0.0
        signal = float(np.mean(reference.astype(np.float64) ** 2)) if error.size else 0.0
        sqnr = float("inf") if power == 0 else 10 * float(np.log10(max(signal, np.finfo(float).tiny) / power))
        largest = float(np.abs(error).max(initial=0.0))
        return cls(power**0.5, largest, float(error.mean()) if error.size else 0.0, sqnr)


@dataclass(frozen=True)
class FormatQuality:
    """One format on given keys and values: bits per value with metadata, scale bytes, and three errors."""

    name: str
    bits_per_value: float
    scale_bytes: int
    keys: ErrorStatistics
    values: ErrorStatistics
    output: ErrorStatistics


def value_errors(kind: Codec, x: Values) -> ErrorStatistics:
    """Errors of encode and decode of x [tokens, heads, dim] against x in FP16."""
    return ErrorStatistics.between(x.astype(np.float16), kind.decode(kind.encode(x)))


def format_quality(name: str, q: Floats, k: Values, v: Values) -> FormatQuality:
    """Errors of K, V [tokens, heads, dim] and of the attention output of q [1, Hq, dim] over them."""
    k16, v16 = k.astype(np.float16), v.astype(np.float16)
    encoded = codec(name, "k").encode(k16), codec(name, "v").encode(v16)
    decoded = codec(name, "k").decode(encoded[0]), codec(name, "v").decode(encoded[1])
    stored_bits = sum(part.bits_per_value * part.values for part in encoded)
    return FormatQuality(
        name,
        stored_bits / sum(part.values for part in encoded),
        sum(part.scale_bytes for part in encoded),
        ErrorStatistics.between(k16, decoded[0]),
        ErrorStatistics.between(v16, decoded[1]),
        ErrorStatistics.between(_attend(q, k16, v16), _attend(q, *decoded)),
    )


def _attend(q: Floats, k: NDArray[np.float16] | F32, v: NDArray[np.float16] | F32) -> Floats:
    """One decode row over contiguous K and V, taken as one block."""
    source = PagedKV(k[None], v[None], np.zeros((1, 1), np.int64))
    batch = RaggedBatch(np.array([q.shape[0]]), np.array([k.shape[0]]))
    options = AttentionOptions(scale=q.shape[-1] ** -0.5)
    return paged_attention(q, source, batch, options).out
