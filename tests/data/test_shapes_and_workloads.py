"""Shipped models, kernel profiles, workloads and the sample trace, against arithmetic done here."""

import gzip
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml

from kernels_ref.request_trace import read_requests
from sim.config.catalog import folder, shipped
from sim.config.context import TraceContext
from sim.config.kernel_profile import KernelProfile
from sim.config.load import (
    load_any_workload,
    load_hardware,
    load_model,
    load_profile,
    load_workload,
    model_of,
)
from sim.config.micro import BenchmarkName, Micro
from sim.config.workload import MixedFormat, Model, Workload
from sim.lowering.layer_gemms import layer_gemms
from workloads.make_sample_trace import SAMPLE, SYSTEM_TOKENS, text

KIB, GIB = 1024, 1024**3
ATTENTION = [name for name in shipped("workload") if load_any_workload(name).spec.kind != "micro"]
RANK = {"none": 0, "cp_async": 1, "tma": 2, "load": 0}


def kv_bytes_per_token(model: Model, bytes_per_value: float) -> float:
    values = model.head_dim if model.attention == "mla" else 2 * model.head_dim
    return model.layers * model.kv_heads * values * bytes_per_value


@pytest.mark.parametrize(
    ("name", "kib"),
    [
        ("llama3_70b", 320),
        ("llama2_70b", 320),
        ("llama3_8b", 128),
        ("llama2_7b", 512),
        ("llama2_13b", 800),
        ("qwen3_32b", 256),
        ("mistral_7b", 128),
        ("deepseek_v3", 61 * 576 * 2 / 1024),
    ],
)
def test_kv_bytes_per_token_at_16_bit(name: str, kib: float) -> None:
    assert kv_bytes_per_token(load_model(name), 2) == kib * KIB


def test_eighty_layers_of_eight_heads_hold_2_5_gib_at_8k_and_10_gib_at_32k() -> None:
    per_token = kv_bytes_per_token(load_model("llama3_70b"), 2)
    assert per_token * 8192 == 2.5 * GIB
    assert per_token * 32768 == 10 * GIB


def test_decode_64x8k_reads_2_147_gb() -> None:
    workload = load_workload("decode_64x8k").spec
    model = model_of(workload)
    assert isinstance(workload.context, int)
    read = workload.batch * workload.context * kv_bytes_per_token(model, 2) / model.layers
    assert read == pytest.approx(2.147e9, rel=1e-3)
    assert read / 3352 == pytest.approx(641e3, rel=1e-3)


def test_the_expanded_tile_of_the_sram_question_is_512_kib() -> None:
    profile, model = load_profile("expand_sram"), load_model("llama3_70b")
    assert profile.expand_in == "sram"
    tile = profile.tile_tokens[0] * profile.kv_heads_per_cta * model.head_dim * 2 * 2
    assert tile == 512 * KIB


@pytest.mark.parametrize(
    "name", ["llama2_7b", "llama2_13b", "llama2_70b", "llama3_8b", "llama3_70b", "mistral_7b", "qwen3_32b"]
)
def test_weights_follow_from_the_shape(name: str) -> None:
    m = load_model(name)
    attention = m.hidden * m.head_dim * (2 * m.q_heads + 2 * m.kv_heads)
    weights = m.layers * (attention + 3 * m.hidden * m.ffn) + 2 * m.vocab * m.hidden
    assert m.weights_g == pytest.approx(weights / 1e9, rel=0.01)


@pytest.mark.parametrize("name", shipped("model"))
def test_query_heads_are_a_multiple_of_kv_heads_and_the_source_is_named(name: str) -> None:
    model = load_model(name)
    assert model.q_heads % model.kv_heads == 0
    assert len(model.source) > 10


def test_state_space_weights_follow_from_the_shape() -> None:
    m = load_model("mamba2_2p7b")
    inner = m.q_heads * m.head_dim
    projections = m.hidden * (2 * inner + 2 * (m.state_dim or 0) + m.q_heads) + inner * m.hidden
    assert inner == 2 * m.hidden
    assert m.weights_g == pytest.approx((m.layers * projections + m.vocab * m.hidden) / 1e9, rel=0.02)
    assert m.layers * projections == sum(layers * g.n * g.k for g, layers in layer_gemms(m, 1, 1))


@pytest.mark.parametrize("name", shipped("kernel profile"))
def test_every_number_of_a_profile_has_a_source(name: str) -> None:
    data = yaml.safe_load((folder("kernel profile") / f"{name}.yaml").read_text())
    sources = data.pop("sources")
    for key, value in data.items():
        if (isinstance(value, int | float) and not isinstance(value, bool)) or key in (
            "tile_tokens",
            "stages",
        ):
            assert len(sources[key]) > 5, key
    assert data["name"] == name


@pytest.mark.parametrize("name", shipped("kernel profile"))
def test_a_range_in_a_source_of_a_profile_contains_the_value(name: str) -> None:
    profile = load_profile(name)
    for key, source in profile.sources.items():
        words = source.split("estimate ")[-1].replace(":", " ").replace(")", " ").replace(";", " ").split()
        value = getattr(profile, key)
        if "estimate" in source and len(words) > 2 and words[1] == "to" and not isinstance(value, list):
            assert float(words[0]) <= value <= float(words[2]), key


@pytest.mark.parametrize("name", shipped("workload"))
def test_a_workload_is_called_like_its_file_and_says_what_it_is_for(name: str) -> None:
    workload = load_any_workload(name).spec
    assert workload.name == name
    assert 20 < len(workload.description) <= 160


def needed_formats(workload: Workload) -> set[str]:
    kv = workload.kv_format
    return {kv.hot, kv.cold} if isinstance(kv, MixedFormat) else {kv}


def runs(profile: KernelProfile, workload: Workload, copies: str) -> bool:
    return (
        workload.phase in profile.phase
        and model_of(workload).attention in profile.attention
        and needed_formats(workload) <= set(profile.formats)
        and RANK[profile.address] <= RANK[copies]
    )


@pytest.mark.parametrize("hardware", ["h200_sxm", "b200", "a100_sxm_80gb", "l4"])
@pytest.mark.parametrize("name", ATTENTION)
def test_every_workload_finds_a_kernel_on_parts_with_asynchronous_copies(name: str, hardware: str) -> None:
    workload = load_workload(name).spec
    copies = load_hardware(hardware).spec.sm.async_copy
    profiles = [load_profile(p) for p in shipped("kernel profile")]
    if workload.kernel == "auto":
        assert [p.name for p in profiles if p.auto and runs(p, workload, copies)]
    else:
        assert runs(load_profile(workload.kernel), workload, copies)


def test_decode_and_prefill_find_a_kernel_on_mi300x() -> None:
    profiles = [load_profile(p) for p in shipped("kernel profile")]
    for name in ("decode_64x8k", "decode_64x8k_fp8", "decode_64x8k_int4", "prefill_4k"):
        assert [p for p in profiles if p.auto and runs(p, load_workload(name).spec, "none")]


def test_batches_from_1_to_256_and_contexts_from_1k_to_1m_ship() -> None:
    specs = [load_workload(name).spec for name in ATTENTION]
    assert {1, 4, 16, 64, 256} <= {w.batch for w in specs}
    contexts = {w.context for w in specs if isinstance(w.context, int)}
    assert {1024, 8192, 32768, 131072, 1048576} <= contexts
    assert {w.kind for w in specs} == {"kernel", "step"}
    formats = set().union(*(needed_formats(w) for w in specs))
    assert {"fp16", "fp8_e4m3", "int8", "int4"} <= formats


def test_each_microbenchmark_ships_once() -> None:
    named = [load_any_workload(name).spec for name in shipped("workload") if name not in ATTENTION]
    assert sorted(w.benchmark for w in named if isinstance(w, Micro)) == sorted(get_args(BenchmarkName))


def test_the_sample_trace_is_what_its_generator_writes() -> None:
    assert gzip.decompress(SAMPLE.read_bytes()).decode() == text()
    assert SAMPLE.stat().st_size < 256 * KIB


def test_the_sample_trace_reads_as_blocks_of_16_with_one_shared_system_prompt() -> None:
    trace = read_requests(SAMPLE)
    assert trace.block_tokens == 16
    assert 300 <= len(trace) <= 500
    rows = [trace.ids_of(i) for i in range(len(trace))]
    shared = set.intersection(*(set(row.tolist()) for row in rows if row is not None))
    assert shared == set(range(SYSTEM_TOKENS // 16))


def test_equal_ids_of_the_sample_trace_have_equal_prefixes() -> None:
    trace = read_requests(SAMPLE)
    before: dict[int, int] = {}
    for request in range(len(trace)):
        ids = trace.ids_of(request)
        assert ids is not None
        for previous, current in zip([-1, *ids[:-1].tolist()], ids.tolist(), strict=True):
            assert before.setdefault(current, previous) == previous


def test_the_sample_trace_has_the_long_tail_of_a_chat_service() -> None:
    trace = read_requests(SAMPLE)
    median, p99 = np.percentile(trace.input_length, [50, 99])
    assert 1000 < median < 2500
    assert p99 > 10 * median
    assert trace.arrival_s is not None
    assert 0 < trace.arrival_s.max() <= 600


@pytest.mark.parametrize("name", ATTENTION)
def test_a_snapshot_asks_for_no_more_requests_than_have_arrived(name: str) -> None:
    workload = load_workload(name).spec
    if isinstance(workload.context, TraceContext):
        path = Path(SAMPLE.parent / f"{workload.context.trace}.jsonl.gz")
        arrivals = read_requests(path).arrival_s
        assert arrivals is not None
        assert int((arrivals <= workload.context.at_s).sum()) >= workload.batch
