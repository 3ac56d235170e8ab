"""How the L2 keeps the KV that tiles read at tile grain: by the class of their first page."""

import pytest

from sim.attention_run import Task, coarse_kernel, find_mapping, run_attention
from sim.cli.job import all_profiles, engine_step
from sim.coarse import tags
from sim.coarse.estimate import coarse_time
from sim.coarse.shares import ONE
from sim.config.load import load_hardware, load_workload, model_of
from sim.memory.addresses import build_address_map


def prefix_task(*sets: str) -> Task:
    """32 sequences of 2048 tokens of which the first 1024 are in common, before 16 MiB of L2."""
    sets = (
        "hw.l2.capacity_mib=16",
        "workload.batch=32",
        "workload.context=2048",
        "workload.shared_prefix=1024",
        "workload.kernel=fa3",
        "workload.mapping={tile_tokens: 64, stages: 2, splits: 1, ctas_per_sm: 1}",
        *sets,
    )
    hw, workload = load_hardware("h100_sxm", sets).spec, load_workload("decode_16x8k", sets).spec
    return Task(hw, workload, "gqa", engine_step(workload, model_of(workload), 0, hw), all_profiles(workload))


def test_tiles_of_a_shared_page_are_kept_as_the_prefix_and_others_as_the_stream() -> None:
    """16 tiles of the prefix, 32 x 16 of the sequences themselves; every head has its own."""
    task = prefix_task("hw.l2.residency.shared_prefix=pin", "hw.l2.residency.streaming=bypass")
    addresses = build_address_map(task.step, task.workload.layout, task.workload.table_entry_bytes)
    cut = find_mapping(task, addresses).candidate.cut
    _, kernel = coarse_kernel(task, addresses, cut)
    heads = task.step.geometry.kv_heads // cut.kv_heads_per_cta
    assert kernel.reuse.cache is not None
    assert (kernel.reuse.cache.keep == tags.PIN).sum() == 16 * heads
    assert (kernel.reuse.cache.keep == tags.BYPASS).sum() == 32 * 16 * heads


def replayed(policy: str) -> Task:
    """64 MiB of KV, 4 KiB a token, read again and again through 48 MiB of L2 in one partition."""
    return prefix_task(
        "hw.l2.capacity_mib=48",
        "hw.l2.effective_fraction=1",
        "hw.l2.partitions=1",
        "hw.l2.far_copies=false",
        "hw.l2.replacement=lru",
        "workload.batch=8",
        "workload.shared_prefix=0",
        "workload.l2_state=warm",
        f"hw.l2.residency.streaming={policy}",
    )


@pytest.mark.parametrize(("policy", "share", "off"), [("normal", 0, 0.01), ("pin", 0.5625, 0.02)])
def test_a_pinned_replay_keeps_what_came_first_at_both_grains(policy: str, share: float, off: float) -> None:
    """LRU finds nothing of a cycle over more than it holds. Of what is pinned three quarters of 48 MiB stay, 36 of the
    64 MiB; the other 28 cycle through the last quarter."""
    task = replayed(policy)
    addresses = build_address_map(task.step, task.workload.layout, task.workload.table_entry_bytes)
    run = run_attention(task)
    counters = run.outcome.counters
    assert counters["l2_hit"] / counters["l2_read"] == pytest.approx(share, abs=off)
    time = coarse_time(*coarse_kernel(task, addresses, run.candidate.cut))
    assert time.attention.hits.mean() / ONE == pytest.approx(share, abs=off)
    assert time.end_ps == pytest.approx(run.outcome.time_ps, rel=0.05)
