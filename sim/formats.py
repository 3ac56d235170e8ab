"""Storage cost of KV formats: bits per value, and the scale metadata beside them.

Sources: MXFP4 and NVFP4 from their specifications (32 values per E8M0 scale; 16 values per E4M3 scale);
INT4 as KIVI stores it (FP16 scale and zero point per group of 32); INT8 with one FP16 scale per token and
head; FP8 with one scale per tensor, which is not worth a byte here.
"""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class KvStorage:
    """How one value of a KV format is stored. `group` values share `scale_bytes`; 0: one group per token and head."""

    bits: int
    mma: str
    """Tensor-core format that the values are computed in, once expanded (or at once where the MMA reads them)."""
    scale_bytes: int = 0
    group: int = 0

    def data_bytes(self, values: int) -> int:
        return values * self.bits // 8

    def scale_bytes_for(self, dim: int) -> int:
        """Scale bytes of one token of one head with `dim` values."""
        if self.scale_bytes == 0:
            return 0
        groups = 1 if self.group == 0 else -(-dim // self.group)
        return groups * self.scale_bytes


KV_STORAGE = MappingProxyType(
    {
        "fp16": KvStorage(16, "fp16"),
        "bf16": KvStorage(16, "bf16"),
        "fp8_e4m3": KvStorage(8, "fp8"),
        "fp8_e5m2": KvStorage(8, "fp8"),
        "int8": KvStorage(8, "int8", scale_bytes=2),
        "int4": KvStorage(4, "int8", scale_bytes=4, group=32),
        "mxfp4": KvStorage(4, "fp4", scale_bytes=1, group=32),
        "nvfp4": KvStorage(4, "fp4", scale_bytes=1, group=16),
    }
)


def token_bytes(fmt: str, heads: int, key_dim: int, value_dim: int, *, latent: bool = False) -> int:
    """Bytes of one token in one layer, scales included. A latent (MLA) row holds K and V together."""
    storage = KV_STORAGE[fmt]
    dims = (key_dim,) if latent else (key_dim, value_dim)
    return heads * sum(storage.data_bytes(dim) + storage.scale_bytes_for(dim) for dim in dims)
