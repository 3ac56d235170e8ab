"""Bytes of stored KV by format: elements and their scales apart."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Storage:
    """Bits of an element, and `scale_bytes` for every `scale_elements` of them (0: no scales)."""

    bits: int
    scale_bytes: int = 0
    scale_elements: int = 0

    def payload(self, elements: int) -> float:
        return elements * self.bits / 8

    def scales(self, elements: int) -> float:
        return self.scale_bytes * elements / self.scale_elements if self.scale_elements else 0.0

    @property
    def scale_fraction(self) -> float:
        """Scale bytes per payload byte."""
        return self.scales(1) / self.payload(1)


STORAGE = {
    "fp16": Storage(16),
    "bf16": Storage(16),
    "fp8_e4m3": Storage(8),
    "fp8_e5m2": Storage(8),
    "int8": Storage(8, 2, 128),
    "int4": Storage(4, 4, 32),
    "mxfp8": Storage(8, 1, 32),
    "mxfp4": Storage(4, 1, 32),
    "nvfp4": Storage(4, 1, 16),
}
"""INT8: an fp16 scale per token and head of 128 values. INT4: fp16 scale and zero point per 32 values (KIVI).
MX formats: one e8m0 byte per 32 (OCP MX 1.0). NVFP4: one e4m3 byte per 16; its fp32 factor per tensor is
negligible, as is FP8's one scale per tensor."""
