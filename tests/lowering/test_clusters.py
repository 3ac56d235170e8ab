"""Splits of an output that a thread block cluster merges: when clusters fit, who writes what, and what it costs."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry, Step
from sim.attention_run import Task, estimate_ns, run_attention
from sim.config.hardware import Hardware
from sim.config.load import load_hardware, load_profile, load_workload
from sim.lowering.attention import build_attention, merge_clk
from sim.lowering.attention_tiles import LookUp
from sim.lowering.candidates import candidates
from sim.lowering.combine import build_combine
from sim.lowering.cut import Cut
from sim.lowering.units import attention_units
from sim.memory.addresses import build_address_map
from sim.memory.fetches import TrafficClass
from sim.memory.latency import l2_trip_ns

B200 = load_hardware("b200").spec
GEN = load_profile("trtllm_gen")
LOOK_UP = LookUp(software=True, assist=False, entry_bytes=4, two_level=False)
DIM = 128


def chip(gpc_sms: list[int]) -> Hardware:
    return B200.model_copy(update={"sm": B200.sm.model_copy(update={"gpc_sms": gpc_sms})})


def step_of(context: int, kv_heads: int, batch: int = 1, q_heads: int = 8) -> Step:
    lengths, ones = np.full(batch, context, np.int32), np.ones(batch, np.int32)
    return make_step(Batch("decode", Geometry(q_heads, kv_heads, DIM, DIM), lengths, ones, 64), 0)


def cut_of(step: Step, hw: Hardware = B200, **changes: Any) -> Cut:
    return candidates(step, [GEN.model_copy(update=changes)], None, hw, 4)[0].cut


@pytest.mark.parametrize(
    ("splits", "gpc_sms", "outputs", "fits"),
    [
        (4, [8], 2, True),  # a GPC of 8 holds two clusters of 4,
        (4, [8], 3, False),  # and no third one,
        (4, [7], 2, False),  # one of 7 only one: the 3 SMs that are left are no cluster,
        (4, [7, 5], 2, True),  # which may not lie in two GPCs.
        (16, [16], 1, True),
        (18, [20], 1, False),  # No cluster has more than 16 CTAs.
        (4, [], 1, False),
    ],
)
def test_splits_are_a_cluster_where_all_clusters_run_at_once(
    splits: int, gpc_sms: list[int], outputs: int, fits: bool
) -> None:
    cut = cut_of(step_of(splits * 512, 1, batch=outputs), chip(gpc_sms))
    assert (cut.splits, cut.clustered) == (splits, fits)


@pytest.mark.parametrize("heads", [7, 8])
def test_b200_runs_seven_clusters_of_sixteen_at_once(heads: int) -> None:
    assert cut_of(step_of(8192, heads, q_heads=heads)).clustered == (heads < 8)


def test_the_ctas_of_a_cluster_share_the_output_and_leave_no_partial_result() -> None:
    step = step_of(8192, 2)
    cut = cut_of(step)
    units, addresses = attention_units(step, cut), build_address_map(step, "HND", 4)
    launch = build_attention(step, units, cut, B200, addresses, LOOK_UP)
    assert build_combine(step, units, cut, addresses) is None
    assert not (launch.fetches.cls == TrafficClass.PARTIAL).any()
    written = launch.ctas.output
    address = launch.fetches.run_addr[launch.fetches.run_ptr[written]]
    size = launch.fetches.run_bytes[launch.fetches.run_ptr[written]].astype(np.int64)
    # 8 query heads of 128 values, in 16 bit, one piece after the other.
    assert size.sum() == 8 * DIM * 2
    assert all(b == a + n for (a, b), n in zip(pairwise(address.tolist()), size[:-1].tolist(), strict=True))


def test_a_cluster_costs_its_barriers_and_a_part_for_each_split() -> None:
    cut = cut_of(step_of(4096, 1), cluster_clk=1000.0, combine_split_clk=50.0)
    assert cut.splits == 8
    assert merge_clk(cut) == 1000 + 8 * 50
    assert merge_clk(cut_of(step_of(4096, 1), cluster_splits=4)) == 0


def task_of(**changes: Any) -> Task:
    workload = load_workload(
        "decode_16x8k", ("workload.kernel=trtllm_gen", "workload.batch=1", "workload.context=4096")
    ).spec
    return Task(B200, workload, "gqa", step_of(4096, 1), (GEN.model_copy(update=changes),))


def test_a_cluster_saves_the_way_through_memory() -> None:
    """Partial results go to L2 and come back in two loads that depend on each other: three trips at the least."""
    free = {"cluster_clk": 0.0, "combine_clk": 0.0, "combine_split_clk": 0.0}
    clustered, through_memory = (
        run_attention(task_of(**free, **c)).outcome.time_ps / 1000 for c in ({}, {"cluster_splits": 0})
    )
    assert through_memory - clustered > 3 * l2_trip_ns(B200)


def test_the_tile_grain_knows_clusters() -> None:
    task = task_of()
    addresses = build_address_map(task.step, task.workload.layout, 4)
    cut = candidates(task.step, task.profiles, None, B200, 4)[0].cut
    assert cut.clustered
    assert estimate_ns(task, addresses, cut) == pytest.approx(
        run_attention(task).outcome.time_ps / 1000, rel=0.1
    )
