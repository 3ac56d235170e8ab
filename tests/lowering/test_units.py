"""CTAs of an attention grid: which query rows and outputs each one has."""

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry, Step
from sim.cli.job import simulate
from sim.config.load import load_hardware, load_profile, load_workload
from sim.lowering.cut import Cut
from sim.lowering.units import attention_units

FA3 = load_profile("fa3_prefill")


def step_of(q_len: list[int], geometry: Geometry) -> Step:
    lengths = np.array(q_len, np.int32)
    return make_step(Batch("mixed", geometry, lengths + 40, lengths, 16), 0)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kv_heads_per_cta", [1, 2])
@pytest.mark.parametrize("q_len", [[1, 1, 1], [5], [70, 1, 33]])
def test_each_query_row_belongs_to_one_cta(q_len: list[int], kv_heads_per_cta: int, packed: bool) -> None:
    if not packed and kv_heads_per_cta > 1:
        pytest.skip("heads that are not packed have CTAs of their own")
    profile = FA3.model_copy(update={"pack_gqa": packed, "m_tile": 32})
    step = step_of(q_len, Geometry(16, 4, 64, 64))
    units = attention_units(step, Cut(profile, 64, 2, 1, 1, kv_heads_per_cta))
    rows = [
        row
        for first, count in zip(units.output_row, units.rows * kv_heads_per_cta, strict=True)
        for row in range(first, first + count)
    ]
    assert sorted(rows) == list(range(16 * sum(q_len)))


@pytest.mark.parametrize("kernel", ["fa3_prefill", "fa2_prefill", "cudnn_prefill"])
def test_a_prefill_reads_every_query_from_memory_once(kernel: str) -> None:
    # K and V of 1024 tokens and 8 heads are 4.2 MB, queries of 64 heads 16.8 MB; all of it fits L2.
    sets = ("workload.batch=1", "workload.context=1024", "workload.q_len=1024", f"workload.kernel={kernel}")
    result = simulate(load_hardware("h100_sxm").spec, load_workload("prefill_4k", sets).spec)
    least = 2 * 1024 * 8 * 128 * 2 + 1024 * 64 * 128 * 2
    assert least <= result.bytes["hbm_read"] < 1.001 * least
    assert result.bytes["l2_write"] == 1024 * 64 * 128 * 2


@pytest.mark.parametrize("q_len", [1, 2, 8, 16])
def test_a_verify_step_of_flashinfer_takes_its_keys_and_values_once(q_len: int) -> None:
    # Up to 16 tokens of 8 heads are 128 rows, one CTA's: K and V of 4 x 2048 tokens, and each split's queries.
    sets = (
        "workload.batch=4",
        "workload.context=2048",
        f"workload.q_len={q_len}",
        "workload.kernel=flashinfer",
    )
    result = simulate(load_hardware("h100_sxm").spec, load_workload("verify_32x8k", sets).spec)
    queries = result.counters["ctas"] * q_len * 8 * 128 * 2
    assert result.counters["requested_kv"] == 4 * 2048 * 8 * 128 * 2 * 2 + queries
