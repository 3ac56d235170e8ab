"""Codes are exact, scale bytes are what the arrays take, errors are what the formats' steps predict."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels_ref.codecs.groupwise import GroupwiseCodec
from kernels_ref.codecs.microscaling import MxCodec, Nvfp4Codec
from kernels_ref.codecs.minifloat import BITS, minifloat
from kernels_ref.codecs.packing import pack, unpack
from kernels_ref.codecs.quality import ErrorStatistics, format_quality, value_errors
from kernels_ref.codecs.registry import FORMATS, codec
from kernels_ref.codecs.scaled import Fp8Codec, Int8Codec
from kernels_ref.errors import InputError

ROUNDED = [
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float6_e2m3fn",
    "float4_e2m1fn",
]


def normal(tokens=64, heads=2, dim=64, seed=0):
    return np.random.default_rng(seed).standard_normal((tokens, heads, dim)).astype(np.float16)


def value_of_code(code, exponent_bits, mantissa_bits):
    """IEEE-like reading of a finite code: sign, biased exponent, mantissa, subnormals."""
    bias = 2 ** (exponent_bits - 1) - 1
    sign = -1 if code >> (exponent_bits + mantissa_bits) else 1
    exponent = (code >> mantissa_bits) % 2**exponent_bits
    fraction = code % 2**mantissa_bits / 2**mantissa_bits
    if exponent == 0:
        return sign * fraction * 2.0 ** (1 - bias)
    return sign * (1 + fraction) * 2.0 ** (exponent - bias)


@pytest.mark.parametrize(
    ("name", "exponent_bits", "mantissa_bits"),
    [
        ("float8_e4m3fn", 4, 3),
        ("float8_e5m2", 5, 2),
        ("float6_e2m3fn", 2, 3),
        ("float6_e3m2fn", 3, 2),
        ("float4_e2m1fn", 2, 1),
    ],
)
def test_every_finite_code_has_the_value_of_its_bits(name, exponent_bits, mantissa_bits):
    table = minifloat(name).decode_table()
    for code in np.flatnonzero(np.isfinite(table)).tolist():
        assert table[code] == value_of_code(code, exponent_bits, mantissa_bits)


def test_the_largest_values_are_those_of_the_standards():
    largest = {name: minifloat(name).largest for name in ("float8_e4m3fn", "float8_e5m2", "float4_e2m1fn")}
    assert largest == {"float8_e4m3fn": 448.0, "float8_e5m2": 57344.0, "float4_e2m1fn": 6.0}


@pytest.mark.parametrize("name", ROUNDED)
@settings(max_examples=60, deadline=None)
@given(x=st.floats(-500, 500, width=32))
def test_a_code_is_the_nearest_and_ties_go_to_the_even_code(name, x):
    kind = minifloat(name)
    table = kind.decode_table()
    table = np.where(np.isfinite(table), table, 1e300)
    clamped = np.clip(np.float64(x), -kind.largest, kind.largest)
    distance = np.abs(table - clamped)
    code = int(kind.encode(np.array([x], np.float32))[0])
    assert distance[code] == distance.min()
    nearest = np.flatnonzero((distance == distance.min()) & (table != table[code]))
    assert code % 2 == 0 or not nearest.size


def test_overflow_gives_what_the_type_has_or_saturates():
    x = np.array([1e6, -1e6, np.inf, np.nan], np.float32)
    e4m3, e5m2 = minifloat("float8_e4m3fn"), minifloat("float8_e5m2")
    assert e4m3.decode(e4m3.encode(x))[:3].tolist() == [448.0, -448.0, 448.0]
    assert np.all(np.isnan(e4m3.decode(e4m3.encode(x, saturate=False))))
    assert e5m2.decode(e5m2.encode(x, saturate=False))[:3].tolist() == [np.inf, -np.inf, np.inf]
    assert np.isnan(e5m2.decode(e5m2.encode(x))[3])


def test_an_unknown_small_type_is_bad_input():
    with pytest.raises(InputError, match="float9"):
        minifloat("float9")
    assert set(ROUNDED) <= set(BITS)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_packing_is_undone_by_unpacking(bits):
    codes = np.random.default_rng(0).integers(0, 2**bits, (3, 5, 16)).astype(np.uint8)
    packed = pack(codes, bits)
    assert packed.shape == (3, 5, 16 * bits // 8)
    assert np.array_equal(unpack(packed, bits), codes)
    assert unpack(pack(codes[:0], bits), bits).shape == (0, 5, 16)


def test_the_even_channel_lies_in_the_low_nibble():
    assert pack(np.array([[3, 10]], np.uint8), 4).tolist() == [[0xA3]]


def test_codes_that_do_not_fill_bytes_are_bad_input():
    with pytest.raises(InputError, match="3 codes"):
        pack(np.zeros((1, 3), np.uint8), 4)
    with pytest.raises(InputError, match="allowed: 1, 2, 4, 8"):
        unpack(np.zeros(1, np.uint8), 3)


# bits per value by hand, for 64 tokens x 2 heads x 64 channels (8192 values):
SIZES = {
    "fp16": (16.0, 0),
    "bf16": (16.0, 0),
    # one float32 scale per tensor: 8 + 32/8192
    "fp8_e4m3": (8.00390625, 4),
    "fp8_e5m2": (8.00390625, 4),
    # one float16 scale per (token, head): 128 x 2 B; 8 + 16/64
    "int8": (8.25, 256),
    # one e8m0 byte per 32: 4 + 8/32
    "mxfp4": (4.25, 256),
    "mxfp8": (8.25, 256),
    "mxfp8_e5m2": (8.25, 256),
    # one e4m3 byte per 16 and four bytes per tensor: 4 + 8/16 + 32/8192
    "nvfp4": (4.50390625, 516),
}


@pytest.mark.parametrize("name", SIZES)
def test_stored_bits_include_the_scales(name):
    stored = codec(name).encode(normal())
    assert (stored.bits_per_value, stored.scale_bytes) == SIZES[name]


@pytest.mark.parametrize(
    ("granularity", "scales"), [("tensor", 1), ("head", 2), ("channel", 128), ("token", 128)]
)
def test_a_granularity_has_its_number_of_scales(granularity, scales):
    for kind in (Int8Codec(granularity), Fp8Codec("fp8_e4m3", granularity)):
        assert kind.encode(normal()).scale_bytes == 4 * scales
    asymmetric = Int8Codec(granularity, symmetric=False)
    assert asymmetric.encode(normal()).scale_bytes == 8 * scales


def test_an_unknown_granularity_format_or_part_is_bad_input():
    with pytest.raises(InputError, match="allowed: tensor, head, channel, token"):
        Int8Codec("layer").encode(normal())
    with pytest.raises(InputError, match="kv format 'fp3'"):
        codec("fp3")
    with pytest.raises(InputError, match="part 'q'"):
        codec("int8", "q")


@pytest.mark.parametrize("granularity", ["tensor", "head", "channel", "token"])
def test_int8_is_within_half_a_step(granularity):
    x = normal()
    for symmetric in (True, False):
        kind = Int8Codec(granularity, symmetric)
        stored = kind.encode(x)
        step = np.broadcast_to(stored.scales["scale"], x.shape)
        # an asymmetric zero point is rounded itself: half a step more at the ends of the range
        allowed = (0.5 if symmetric else 1.0) * step * (1 + 1e-5)
        assert np.all(np.abs(kind.decode(stored) - x.astype(np.float32)) <= allowed)


def test_a_finer_granularity_has_a_smaller_error_when_channels_differ():
    x = normal() * np.float16(2) ** np.arange(-4, 4).repeat(8).astype(np.float16)
    errors = [value_errors(Int8Codec(g), x).rms for g in ("channel", "token", "tensor")]
    assert errors == sorted(errors)


@pytest.mark.parametrize(("tokens", "old"), [(31, 0), (63, 0), (64, 32), (100, 64), (96, 64)])
def test_int4_leaves_the_residual_window_and_part_groups_in_fp16(tokens, old):
    x = normal(tokens)
    for per in ("channel", "token"):
        kind = GroupwiseCodec(per=per, group=32, residual=32)
        stored = kind.encode(x)
        assert kind.quantised_tokens(tokens) == old
        assert np.array_equal(kind.decode(stored)[old:], x[old:].astype(np.float32))
        # 4-bit codes of 2 x 64 values, float16 scale and zero per 32, the rest in float16
        assert stored.code_bytes == old * 64 + (tokens - old) * 256
        assert stored.scale_bytes == old * 128 // 32 * 4


def test_int4_is_within_half_a_step_of_its_group():
    x = normal(64)
    kind = GroupwiseCodec(per="channel", residual=0, parameters="float32")
    stored = kind.encode(x)
    step = np.repeat(stored.scales["scale"][:, 0], 32, axis=0)
    assert np.all(np.abs(kind.decode(stored) - x.astype(np.float32)) <= step * 0.5001)


def test_keys_with_outlier_channels_want_scales_per_channel():
    x = normal(128)
    x[:, :, 5] *= 30
    per_channel, per_token = (
        value_errors(GroupwiseCodec(per=p, residual=0), x).sqnr_db for p in ("channel", "token")
    )
    assert per_channel > per_token
    # and only per-token scales drown the other channels of the outlier's group
    quiet = np.delete(np.arange(32), 5)
    error = {
        per: np.abs(
            GroupwiseCodec(per=per, residual=0).decode(GroupwiseCodec(per=per, residual=0).encode(x)) - x
        )
        for per in ("channel", "token")
    }
    assert error["channel"][..., quiet].max() < error["token"][..., quiet].max()


def test_mx_shares_a_power_of_two_below_its_largest_element():
    # largest 7.9: floor(log2) = 2, less emax 2 of e2m1: scale 1; 7.9 saturates at 6
    x = np.zeros((1, 1, 32))
    x[0, 0, :3] = [7.9, 1.2, -2.4]
    kind = MxCodec("mxfp4")
    stored = kind.encode(x)
    assert stored.scales["scale"].ravel().tolist() == [127]
    assert kind.decode(stored)[0, 0, :3].tolist() == [6.0, 1.0, -2.0]
    # just under a power of two: floor(log2(4 - 2**-10)) is 1, not 2
    stored = kind.encode(np.full((1, 1, 32), 4 - 2.0**-10))
    assert stored.scales["scale"].ravel().tolist() == [126]


def test_nvfp4_scales_the_largest_of_a_block_to_six():
    # tensor absmax 12: tensor scale 12/(448*6); the block with 12 has scale 448; the one with 6 has 224
    x = np.zeros((1, 1, 32))
    x[0, 0, 0], x[0, 0, 16] = 12.0, -6.0
    kind = Nvfp4Codec()
    stored = kind.encode(x)
    assert minifloat("float8_e4m3fn").decode(stored.scales["scale"]).ravel().tolist() == [448.0, 224.0]
    assert kind.decode(stored)[0, 0, [0, 16]] == pytest.approx([12.0, -6.0], rel=1e-6)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("part", ["k", "v"])
def test_zeros_stay_zeros_in_every_format(name, part):
    kind = codec(name, part)
    x = np.zeros((64, 2, 64), np.float16)
    assert not kind.decode(kind.encode(x)).any()


def test_a_head_dimension_that_blocks_do_not_divide_is_bad_input():
    for kind in (MxCodec("mxfp4"), Nvfp4Codec(), GroupwiseCodec(per="token", residual=0)):
        with pytest.raises(InputError, match="head dimension 40"):
            kind.encode(normal(32, 1, 40))


def test_error_statistics_by_hand():
    # errors 1 and -3 on signal 2 and 4: rms sqrt(5), power ratio 10/5
    found = ErrorStatistics.between(np.array([2.0, 4.0]), np.array([3.0, 1.0]))
    assert (found.max_abs, found.mean) == (3.0, -1.0)
    assert found.rms == pytest.approx(5**0.5)
    assert found.sqnr_db == pytest.approx(10 * np.log10(2.0))


def test_fewer_bits_cost_precision_of_the_attention_output():
    rng = np.random.default_rng(0)
    q, k, v = rng.standard_normal((1, 8, 64)), normal(512, seed=1), normal(512, seed=2)
    rms = {name: format_quality(name, q, k, v).output.rms for name in FORMATS}
    assert rms["fp16"] == 0.0
    assert rms["bf16"] < rms["int8"] < rms["fp8_e4m3"] < rms["fp8_e5m2"] < rms["nvfp4"] < rms["mxfp4"]


def test_uniform_rounding_has_the_error_of_a_twelfth_of_a_step_squared():
    # rms = step / sqrt(12) where values fill the range evenly
    x = np.random.default_rng(3).uniform(-1, 1, (256, 1, 64)).astype(np.float16)
    step = np.abs(x.astype(np.float64)).max() / 127
    assert value_errors(Int8Codec("tensor"), x).rms == pytest.approx(step / 12**0.5, rel=0.02)
