"""Streams, probes and address mappings against definitions worked out by hand."""

import numpy as np
import pytest

from sim.errors import InputError
from sim.memory.dram.mapping import AddressMapping, XorBit
from sim.memory.dram.stream import StreamSpec, make_probe, make_stream

GIB = 1 << 30


def test_a_sequential_stream_wraps_at_the_capacity() -> None:
    stream = make_stream(StreamSpec(n_req=5, run_bytes=0, capacity_bytes=192))
    assert stream.addr.tolist() == [0, 64, 128, 0, 64]


def test_interleaved_runs_are_issued_round_robin() -> None:
    stream = make_stream(StreamSpec(n_req=8, run_bytes=128, capacity_bytes=GIB, interleave=2, seed=7))
    a, b, a2, b2 = stream.addr[:4]
    assert (a2 - a, b2 - b) == (64, 64)
    assert (a % 128, b % 128) == (0, 0)


def test_block_writes_alternate_without_a_draw() -> None:
    spec = StreamSpec(n_req=12, run_bytes=0, capacity_bytes=GIB, write_frac=0.5, write_unit="block2")
    assert make_stream(spec).wr.tolist() == [True, True, False, False] * 3


def test_poisson_arrivals_have_the_mean_of_the_offered_load() -> None:
    spec = StreamSpec(
        n_req=50_000, run_bytes=0, capacity_bytes=GIB, arrival="poisson", load=0.5, peak_gb_s=32.0
    )
    # 64 B / (0.5 x 32 B/ns) = 4 ns a request
    assert make_stream(spec).t_ps[-1] / 50_000 == pytest.approx(4000, rel=0.02)


@pytest.mark.parametrize(
    ("field", "value"), [("write_unit", "half"), ("write_unit", "block0"), ("arrival", "later")]
)
def test_an_unknown_word_in_a_stream_is_named(field: str, value: str) -> None:
    spec = {
        "n_req": 4,
        "run_bytes": 0,
        "capacity_bytes": GIB,
        "write_frac": 0.1,
        "load": 0.5,
        "peak_gb_s": 1.0,
    }
    with pytest.raises(InputError, match=value):
        make_stream(StreamSpec(**(spec | {field: value})))


def test_a_mapping_splits_and_joins_an_address() -> None:
    mapping = AddressMapping.parse("of6.ch1.co2.ba2.co3.ro15")
    f = mapping.decode(np.array([0b1_101_10_11_1_000000]))
    # from the right: 6 offset bits, ch 1, co low 11, ba 10, co high 101, ro 1
    assert [int(f[k][0]) for k in ("ch", "co", "ba", "ro")] == [1, 0b10111, 0b10, 1]
    addr = np.arange(0, 1 << 20, 4032, dtype=np.int64) & ~63
    assert (mapping.encode(mapping.decode(addr), addr.size) == addr).all()


def test_xor_hashing_spreads_a_stride_that_camps_on_one_bank() -> None:
    plain = AddressMapping.parse("of6.co5.ba2.bg2.ro15")
    stride = np.arange(256, dtype=np.int64) << 15  # one row further each time, always the same bank
    assert np.unique(plain.decode(stride)["ba"]).size == 1
    hashed = AddressMapping(plain.fields, (XorBit("ba", 0, 1 << 15), XorBit("ba", 1, 1 << 16)))
    counts = np.bincount(hashed.decode(stride)["ba"], minlength=4)
    assert counts.tolist() == [64, 64, 64, 64]


@pytest.mark.parametrize("spec", ["of6.xx3.ro15", "of6ch3", "of6..ro2", ""])
def test_a_mapping_that_cannot_be_read_shows_the_grammar(spec: str) -> None:
    with pytest.raises(InputError, match="allowed: fields"):
        AddressMapping.parse(spec, "runs.csv:2")


def test_the_conflict_probe_opens_a_new_row_each_time_in_one_bank() -> None:
    mapping = AddressMapping.parse("of5.co5.ba2.bg2.ro15")
    f = mapping.decode(make_probe("conflict", 10, mapping).addr)
    assert f["ro"].tolist() == list(range(10))
    assert not (f["ba"] | f["bg"] | f["co"]).any()
