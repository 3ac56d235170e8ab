"""Kernels run where their matrix instruction exists: wgmma on Hopper alone, tcgen05 on B200 (PTX ISA)."""

import pytest

from sim.attention_run import Task, usable_profiles
from sim.cli.job import all_profiles, engine_step
from sim.config.catalog import shipped
from sim.config.load import load_hardware, load_workload, model_of
from sim.errors import InputError

WORKLOADS = (
    "decode_16x8k",
    "decode_64x8k_fp8",
    "decode_64x8k_int8",
    "decode_64x8k_int4",
    "prefill_4k",
    "verify_32x8k",
)
CHIPS = [name for name in shipped("hardware") if load_hardware(name).spec.sm.mma_instructions]


def kernels(workload: str, hardware: str, *sets: str) -> dict[str, str]:
    """Name and instruction of each kernel that can run."""
    small = ("workload.batch=1", *sets)
    hw, spec = load_hardware(hardware, small).spec, load_workload(workload, small).spec
    model = model_of(spec)
    task = Task(hw, spec, model.attention, engine_step(spec, model, 0, hw), all_profiles(spec))
    return {profile.name: profile.mma_instruction for profile in usable_profiles(task)}


@pytest.mark.parametrize("hardware", CHIPS)
def test_every_chip_has_a_kernel_for_every_format_and_phase_and_none_of_another_chip(hardware: str) -> None:
    known = {"any", *load_hardware(hardware).spec.sm.mma_instructions}
    for workload in (*WORKLOADS, "decode_mla"):
        assert set(kernels(workload, hardware).values()) <= known


@pytest.mark.parametrize(
    ("workload", "own"),
    [
        ("decode_16x8k", "trtllm_gen"),
        ("decode_64x8k_fp8", "trtllm_gen_fp8"),
        ("prefill_4k", "trtllm_gen_prefill"),
        ("decode_mla", "trtllm_gen_mla"),
    ],
)
def test_blackwell_is_offered_its_own_kernels(workload: str, own: str) -> None:
    assert own in kernels(workload, "b200")
    assert own not in kernels(workload, "h200_sxm")


def test_a_kernel_that_cannot_run_says_what_it_is_written_with() -> None:
    text = "fa3: it is written with wgmma, the chip knows mma_sync, tcgen05"
    with pytest.raises(InputError, match=text):
        kernels("decode_16x8k", "b200", "workload.kernel=fa3")


def test_a_design_that_names_no_instruction_gets_every_kernel_written_for_it() -> None:
    found = kernels("decode_16x8k", "h200_sxm", "hw.sm.mma_instructions=[]")
    assert {"mma_sync", "wgmma", "tcgen05"} <= set(found.values())
