"""Which kernel profiles `kernel: auto` may choose from."""

import pytest

from sim.attention_run import Task, usable_profiles
from sim.cli.job import all_profiles, engine_step
from sim.config.load import load_hardware, load_workload, model_of


def addresses(hardware: str, kernel: str) -> set[str]:
    """How the usable profiles of a decode launch address KV."""
    hw = load_hardware(hardware).spec
    sets = ("workload.batch=2", "workload.context=512", f"workload.kernel={kernel}")
    workload = load_workload("decode_16x8k", sets).spec
    task = Task(hw, workload, "gqa", engine_step(workload, model_of(workload), 0, hw), all_profiles(workload))
    return {profile.address for profile in usable_profiles(task)}


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [("h100_sxm", {"cp_async", "tma"}), ("l40s", {"cp_async"}), ("mi300x", {"load"})],
)
def test_a_search_loads_through_registers_only_where_nothing_copies_asynchronously(
    hardware: str, expected: set[str]
) -> None:
    assert addresses(hardware, "auto") == expected


def test_a_named_kernel_may_load_through_registers_anywhere() -> None:
    assert addresses("h100_sxm", "register_decode") == {"load"}
