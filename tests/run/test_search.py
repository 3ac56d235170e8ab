"""The mapping search: no other mapping is much better than the one that it takes."""

import pytest

from sim.attention_run import Task, as_addressed, build_launches, estimate_ns, usable_profiles
from sim.cli.job import all_profiles, engine_step
from sim.config.load import load_hardware, load_workload, model_of
from sim.lowering.candidates import candidates, split_choices
from sim.lowering.cut import Cut
from sim.lowering.units import attention_units, unsplit_ctas
from sim.machine import Machine, RunOptions
from sim.memory.addresses import AddressMap, build_address_map
from sim.search import rated, shortlist


def task_of(workload: str, hardware: str, *sets: str) -> Task:
    hw, spec = load_hardware(hardware, sets).spec, load_workload(workload, sets).spec
    model = model_of(spec)
    return Task(hw, spec, model.attention, engine_step(spec, model, 0, hw), all_profiles(spec))


@pytest.mark.parametrize(
    ("workload", "hardware", "sets"),
    [
        # 128 rows are two row blocks, whose partial results are as large as the latent cache of 2K tokens.
        ("decode_mla", "a100_sxm_80gb", ("workload.batch=8", "workload.context=2048")),
        ("decode_mla", "a100_sxm_80gb", ("workload.batch=8", "workload.context=2048", "hw.sm.sram_kib=227")),
        # 16 tokens of 8 heads are two row blocks.
        ("verify_32x8k", "b200", ("workload.batch=8", "workload.context=2048", "workload.q_len=16")),
        # K and V of a head come from memory once for all of its query blocks.
        ("prefill_4k", "a100_sxm_80gb", ("workload.batch=1", "workload.context=1024", "workload.q_len=1024")),
        ("decode_16x8k", "b200", ("workload.batch=20", "workload.context=2048")),
    ],
)
def test_no_mapping_is_much_better_than_the_one_that_is_taken(
    workload: str, hardware: str, sets: tuple[str, ...]
) -> None:
    """In whole simulations of all that the tile grain puts within the tenth by which it may miss.

    It misses by -6 to +3% in these cases, so that a tie there (two and three stages of 32 tokens in `prefill_4k`,
    tiles of 32 and 64 tokens on B200) may lose as much: 5 and 6%.
    """
    task = task_of(workload, hardware, *sets)
    addresses = build_address_map(task.step, task.workload.layout, task.workload.table_entry_bytes)
    found = candidates(task.step, usable_profiles(task), None, task.hw, task.workload.table_entry_bytes)
    found = [candidate for candidate in found if candidate.sram_class == 0]
    found = [found[i] for _, i in rated(task.step, found, task.loaded)]
    times = {id(candidate): estimate_ns(task, addresses, candidate.cut) for candidate in found}
    taken = min(shortlist(task.step, found, task.loaded), key=lambda candidate: times[id(candidate)])
    near = [candidate for candidate in found if times[id(candidate)] <= 1.1 * min(times.values())]
    assert taken in near
    best = min(whole_ps(task, addresses, candidate.cut) for candidate in near)
    assert whole_ps(task, addresses, taken.cut) <= 1.06 * best


def whole_ps(task: Task, addresses: AddressMap, cut: Cut) -> int:
    """Time of a cold run at full fidelity."""
    launches = build_launches(task, attention_units(task.step, cut), cut, addresses)
    machine = Machine(as_addressed(task.loaded, cut.profile), launches, RunOptions(how=task.workload.launch))
    return machine.run(task.step.formats).time_ps


def test_splits_fill_the_slots_with_all_row_blocks() -> None:
    # 8 sequences x 2 blocks of 64 of the 128 rows: 6 splits are 96 CTAs on 108 SMs, 13 are 208 in two waves.
    task = task_of("decode_mla", "a100_sxm_80gb", "workload.batch=8", "workload.context=2048")
    profile = next(p for p in usable_profiles(task) if p.name == "flashinfer_mla")
    assert unsplit_ctas(task.step, profile, 1).sum() == 16
    assert split_choices(task.step, profile, 32, 1, 1, task.hw) == [1, 6, 13]


def test_outputs_that_begin_a_second_wave_are_split_until_waves_are_full() -> None:
    # 64 sequences x 2 blocks are 128 CTAs on 108 SMs, 1.2 waves in the time of 2; 3 splits are 3.6 in that of 4, and 2
    # are 2.4 in that of 3, below 85%. On 132 SMs they are one wave, almost full.
    on_a100, on_h200 = (
        task_of("decode_mla", name, "workload.kernel=flashinfer_mla")
        for name in ("a100_sxm_80gb", "h200_sxm")
    )
    profile = usable_profiles(on_a100)[0]
    assert split_choices(on_a100.step, profile, 32, 1, 1, on_a100.hw) == [1, 3]
    assert split_choices(on_h200.step, profile, 32, 1, 1, on_h200.hw) == [1, 2]


def test_slots_that_no_cta_fills_are_not_probed_twice() -> None:
    # 160 CTAs on 148 SMs: two slots an SM hold them all, a third changes nothing.
    task = task_of("decode_16x8k", "b200", "workload.batch=20", "workload.context=2048")
    found = candidates(task.step, usable_profiles(task), None, task.hw, task.workload.table_entry_bytes)
    whole = [found[i] for _, i in rated(task.step, found, task.hw) if found[i].cut.splits == 1]
    cuts = [
        (c.sram_class, c.cut.profile.name, c.cut.tile_tokens, c.cut.stages)
        for c in whole
        if c.cut.ctas_per_sm > 1
    ]
    assert len(cuts) == len(set(cuts))
    assert any(c.cut.ctas_per_sm == 3 for c in found if c.cut.splits == 1)
