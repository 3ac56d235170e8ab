"""Page metadata: what it costs, and that it follows the pages."""

import numpy as np
import pytest

from kernels_ref.codecs.registry import codec
from kernels_ref.errors import InputError
from kernels_ref.kv_storage import STORAGE
from kernels_ref.metadata import Conversion, PageMetadata
from kernels_ref.metadata_overhead import ATTRIBUTE_BYTES, KvShape, metadata_bytes
from sim.formats import KV_STORAGE, token_bytes

LLAMA_70B = 2 * 80 * 8 * 128
CONTEXTS = np.full(64, 8192)


def test_a_flat_table_counts_a_row_of_the_maximum_for_each_sequence() -> None:
    found = metadata_bytes(np.array([100, 40]), 1024, 16, KvShape(1024, "fp16"), "flat")
    assert found.table == 2 * 64 * 4
    # 100 tokens are 7 pages, 40 are 3: 10 pages of 16 x 1024 x 2 bytes, 5 bytes of attributes each.
    assert found.attributes == 10 * ATTRIBUTE_BYTES == 50
    assert found.payload == 10 * 16 * 1024 * 2
    assert found.scales == 0


def test_a_two_level_table_counts_roots_and_the_second_levels_in_use() -> None:
    found = metadata_bytes(np.array([9000, 40]), 32768, 16, KvShape(1024, "fp16"), "two_level")
    # Root: 32768 / (16 x 512) = 4 pointers. 563 pages need 2 second-level tables, 3 pages need 1.
    assert found.table == 2 * 4 * 8 + 3 * 512 * 4


@pytest.mark.parametrize("layout", ["flat", "two_level"])
@pytest.mark.parametrize("page_tokens", [8, 16, 32, 64, 128, 256])
def test_tables_and_attributes_stay_below_2_percent_for_8_to_256_tokens(
    layout: str, page_tokens: int
) -> None:
    for fmt in STORAGE:
        found = metadata_bytes(CONTEXTS, 8192, page_tokens, KvShape(LLAMA_70B, fmt), layout)
        assert found.fraction < 0.02
        assert found.fraction_with_scales == pytest.approx(found.fraction + STORAGE[fmt].scale_fraction)


def test_even_one_latent_layer_of_int4_stays_below_2_percent_from_32_tokens_on() -> None:
    # The hardest case: a table for a single layer of 576 latent elements at 4 bits, 288 bytes a token.
    small = metadata_bytes(CONTEXTS, 8192, 8, KvShape(576, "int4"), "flat")
    assert small.fraction == pytest.approx((4 + 5) / (8 * 288))
    assert metadata_bytes(CONTEXTS, 8192, 32, KvShape(576, "int4"), "flat").fraction < 0.02


def test_scales_outweigh_the_tables() -> None:
    int4 = metadata_bytes(CONTEXTS, 8192, 16, KvShape(LLAMA_70B, "int4"), "two_level")
    assert int4.fraction_with_scales > 0.25
    # 4 bytes beside 32 values of 4 bits.
    assert STORAGE["int4"].scale_fraction == 0.25
    assert STORAGE["nvfp4"].scale_fraction == 0.125
    assert STORAGE["mxfp4"].scale_fraction == 0.0625


@pytest.mark.parametrize("fmt", STORAGE)
def test_bytes_are_counted_alike_by_codec_engine_and_simulator(fmt: str) -> None:
    counted = STORAGE[fmt].bits * (1 + STORAGE[fmt].scale_fraction)
    if fmt in KV_STORAGE:
        assert 8 * token_bytes(fmt, 1, 128, 128) / 256 == counted
    x = np.random.default_rng(0).standard_normal((2048, 2, 128))
    kept = 32 if fmt == "int4" else 0
    stored = codec(fmt).encode(x)
    # INT4 leaves the newest 32 tokens in 16 bits; scales per tensor are a few bytes of 65,536.
    assert stored.bits_per_value == pytest.approx(counted + kept / 2048 * (16 - counted), abs=1e-3)


def test_shared_pages_are_stored_and_described_once_but_listed_by_every_sequence() -> None:
    shape = KvShape(1024, "fp16")
    alone = metadata_bytes(np.array([160, 160]), 160, 16, shape, "flat")
    shared = metadata_bytes(np.array([160, 160]), 160, 16, shape, "flat", physical_pages=11)
    assert shared.table == alone.table
    assert shared.payload == alone.payload * 11 / 20


def test_a_conversion_counts_bytes_read_and_written_scales_included() -> None:
    metadata = PageMetadata(4, "fp16")
    metadata.convert(2, "int4")
    metadata.convert(2, "int4")
    assert metadata.take_conversions() == [Conversion(2, "fp16", "int4")]
    assert metadata.take_conversions() == []
    # 1024 elements: 2048 bytes read; 512 bytes and 32 groups of 32 with 4 bytes each written.
    assert Conversion(2, "fp16", "int4").traffic(1024) == (2048, 512 + 128)


def test_heat_and_age_saturate_and_heat_fades() -> None:
    metadata = PageMetadata(2, "fp16")
    for step in range(300):
        metadata.use(np.array([0], np.int32), step)
    assert metadata.heat.tolist() == [255, 0]
    assert metadata.age(100_000).tolist() == [65535, 65535]
    assert metadata.age(309).tolist() == [10, 309]
    metadata.cool()
    assert metadata.heat[0] == 127


def test_attributes_follow_the_content_to_another_frame() -> None:
    metadata = PageMetadata(3, "fp16")
    metadata.convert(0, "int8")
    metadata.use(np.array([0], np.int32), 7)
    metadata.move(0, 2)
    assert (metadata.format_of(2), int(metadata.heat[2]), int(metadata.last_used[2])) == ("int8", 1, 7)


def test_unknown_formats_and_layouts_are_named() -> None:
    with pytest.raises(InputError, match="kv_format: found fp7; allowed: fp16"):
        PageMetadata(1, "fp7")
    with pytest.raises(InputError, match="table layout: found tree"):
        metadata_bytes(CONTEXTS, 8192, 16, KvShape(4, "fp16"), "tree")
    with pytest.raises(InputError, match="1 to 100 tokens"):
        metadata_bytes(np.array([101]), 100, 16, KvShape(4, "fp16"), "flat")
