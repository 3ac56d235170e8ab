"""A launch whose code has left L2 waits for it; one whose code is there does not."""

import pytest

from sim.attention_run import Task, coarse_kernel, estimate_ns, find_mapping, run_attention
from sim.cli.job import engine_step
from sim.coarse.hits import first_found
from sim.config.hardware import Hardware
from sim.config.kernel_profile import USUAL_CODE_TRIPS
from sim.config.load import load_hardware, load_profile, load_workload, model_of
from sim.launch_times import code_ps
from sim.lowering.combine import build_combine
from sim.lowering.units import attention_units
from sim.memory.addresses import build_address_map
from sim.memory.plane import MemoryPlane
from tests.memory.conftest import drive, table

TRIPS = 20
SETS = ("hw.l2.capacity_mib=8", "hw.l2.far_copies=false", "hw.hbm.refresh=none")
HARDWARE = load_hardware("h100_sxm", SETS).spec


def trip_ns(hw: Hardware) -> float:
    """What a read on an idle machine takes longer if it misses L2."""

    def prepare(plane: MemoryPlane) -> None:
        plane.warm([(0, 32)])

    miss = drive(hw, table([[(0, 32)]]), lambda f: 0)
    hit = drive(hw, table([[(0, 32)]]), lambda f: 0, prepare=prepare)
    return (miss.end - hit.end) / 1000


def task_of(kernel: str, trips: float, context: int, state: str) -> Task:
    sets = (f"workload.context={context}", f"workload.l2_state={state}", f"workload.kernel={kernel}")
    spec = load_workload("decode_16x8k", ("workload.batch=2", *sets)).spec
    profile = load_profile(kernel).model_copy(update={"code_trips": trips})
    return Task(HARDWARE, spec, "gqa", engine_step(spec, model_of(spec), 0, HARDWARE), [profile])


def times_ns(trips: float, context: int, state: str) -> tuple[float, float]:
    """Of a kernel that makes `trips` for its code: on the whole machine, and at tile grain."""
    task = task_of("fa3", trips, context, state)
    addresses = build_address_map(task.step, task.workload.layout, task.workload.table_entry_bytes)
    cut = find_mapping(task, addresses).candidate.cut
    return run_attention(task).outcome.time_ps / 1000, estimate_ns(task, addresses, cut)


def test_tiles_that_ctas_share_are_not_there_before_the_launch() -> None:
    """Two sequences of one prefix: at tile grain, too, the first CTA to read it does not find it."""
    sets = ("workload.batch=2", "workload.context=512", "workload.shared_prefix=256", "workload.kernel=fa3")
    spec = load_workload("decode_16x8k", sets).spec
    task = Task(HARDWARE, spec, "gqa", engine_step(spec, model_of(spec), 0, HARDWARE), [load_profile("fa3")])
    addresses = build_address_map(task.step, spec.layout, spec.table_entry_bytes)
    cut = find_mapping(task, addresses).candidate.cut
    _, kernel = coarse_kernel(task, addresses, cut)
    assert kernel.reuse.cache is not None
    assert first_found(kernel.grid, kernel.reuse, HARDWARE.sm.count * cut.ctas_per_sm) == 0


def test_a_trip_is_what_a_read_takes_longer_that_misses_l2() -> None:
    assert code_ps(HARDWARE, 3, 0.5) == pytest.approx(1.5 * trip_ns(HARDWARE) * 1000, rel=0.01)


def test_code_that_is_there_takes_no_trip() -> None:
    assert code_ps(HARDWARE, 3, 0.0) == 0


@pytest.mark.parametrize(
    ("context", "state", "lost"),
    [
        *((512, "cold", 1.0), (512, "warm", 0.0), (4096, "warm", 1.0)),
        *((512, "rotated", 0.0), (4096, "rotated", 1.0)),
    ],
    ids=[
        "cold",
        "4 MiB, replayed in 8",
        "32 MiB, replayed in 8",
        "4 MiB, rotated in 8",
        "32 MiB, rotated in 8",
    ],
)
def test_a_launch_waits_for_code_that_its_data_have_pushed_out(context: int, state: str, lost: float) -> None:
    """Once, before its first CTA, at both grains: an earlier, identical launch read the code before its first tiles."""
    without, with_trips = (times_ns(trips, context, state) for trips in (0, TRIPS))
    for before, after in zip(without, with_trips, strict=True):
        assert after - before == pytest.approx(lost * TRIPS * trip_ns(HARDWARE), abs=25)


@pytest.mark.parametrize("dependent", [None, 600.0], ids=["launched as any other", "launched early"])
def test_a_reduction_waits_for_its_code_unless_it_was_launched_early(dependent: float | None) -> None:
    launch = HARDWARE.launch.model_copy(update={"dependent_ns": dependent})
    hw = HARDWARE.model_copy(update={"launch": launch})
    waits = code_ps(hw, USUAL_CODE_TRIPS, 1.0, early=True) / 1000
    assert waits == pytest.approx(0 if dependent else USUAL_CODE_TRIPS * trip_ns(hw), rel=0.01)


def test_a_kernel_that_merges_makes_the_trips_of_any_small_one() -> None:
    task = task_of("fa3", 0, 8192, "cold")
    addresses = build_address_map(task.step, task.workload.layout, task.workload.table_entry_bytes)
    cut = find_mapping(task, addresses).candidate.cut
    combine = build_combine(task.step, attention_units(task.step, cut), cut, addresses)
    assert combine is not None
    assert combine.code_trips == USUAL_CODE_TRIPS
    assert combine.launched_early


def test_rotated_data_are_cold_whatever_stays_of_the_code() -> None:
    """Without trips for code, launches on other data take what a first one takes, and more than a replay."""
    cold, rotated, warm = (times_ns(0, 512, state) for state in ("cold", "rotated", "warm"))
    assert rotated == cold
    assert all(one < other for one, other in zip(warm, rotated, strict=True))
