"""Codecs by the format names of workloads, each with the scales that `kv_storage` counts bytes for. K and V
differ only for INT4 (per channel, per token)."""

from kernels_ref.codecs.base import Codec
from kernels_ref.codecs.groupwise import GroupwiseCodec
from kernels_ref.codecs.microscaling import MxCodec, Nvfp4Codec
from kernels_ref.codecs.plain import PlainCodec
from kernels_ref.codecs.scaled import Fp8Codec, Int8Codec
from kernels_ref.errors import InputError

FORMATS = ("fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "int8", "int4", "mxfp4", "nvfp4", "mxfp8", "mxfp8_e5m2")


def codec(name: str, part: str = "k") -> Codec:
    """The codec of a format for `part` "k" or "v". Raises InputError for an unknown name or part."""
    if part not in ("k", "v"):
        raise InputError(f"part {part!r}; allowed: k, v")
    match name:
        case "fp16" | "bf16":
            return PlainCodec(name)
        case "fp8_e4m3" | "fp8_e5m2":
            return Fp8Codec(name, granularity="tensor")
        case "int8":
            return Int8Codec(parameters="float16")
        case "int4":
            return GroupwiseCodec(per="channel" if part == "k" else "token")
        case "mxfp4" | "mxfp8" | "mxfp8_e5m2":
            return MxCodec(name)
        case "nvfp4":
            return Nvfp4Codec()
    raise InputError(f"kv format {name!r}; allowed: {', '.join(FORMATS)}")
