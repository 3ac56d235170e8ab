"""KV in one piece, without a block table: what paging costs beside it."""

from pathlib import Path

import pytest

from sim.cli.job import engine_step, run_named
from sim.cli.stored_trace import load_stored, write_stored
from sim.config.load import load_hardware, load_workload, model_of
from sim.errors import InputError
from sim.memory.latency import l2_trip_ns
from sim.result import Result
from tests.validation.rows import mapped_row

H100 = load_hardware("h100_sxm").spec
ONE = ("workload.kernel=fa3", "workload.page_order=sequential", "workload.batch=4", "workload.context=2048")


def run(*sets: str, hardware: str = "h100_sxm", fidelity: str = "full", what_if: bool = False) -> Result:
    options = {"fidelity": fidelity, "seed": 0, "what_if": what_if, "verify": False}
    return run_named("decode_16x8k", hardware, (*ONE, *sets), **options)  # type: ignore[arg-type]


def test_it_is_the_paged_run_with_translation_for_nothing() -> None:
    paged, whole = run(what_if=True), run("workload.table_layout=none")
    assert paged.time_ns / whole.time_ns == pytest.approx(paged.what_if["free_translation"], rel=1e-9)
    assert whole.bytes["block_table"] == whole.kv["metadata_fraction"] == 0 < paged.bytes["block_table"]
    assert whole.stalls["translation"] == 0 < paged.stalls["translation"]


def test_cold_it_saves_one_dependent_trip_to_memory() -> None:
    """All CTAs run at once and look their first block up before they load it: an L2 trip, near as all are here, and the
    device memory behind it (its controller, and activation, column latency and burst, below 50 ns)."""
    near = "hw.noc.far_extra_ns=0"
    saved = run(near).time_ns - run(near, "workload.table_layout=none").time_ns
    trip = l2_trip_ns(H100)
    assert trip + H100.hbm.controller_ns < saved < trip + H100.hbm.controller_ns + 150


@pytest.mark.parametrize("hardware", ["h100_sxm", "h200_assist"])
def test_nobody_looks_anything_up(hardware: str) -> None:
    whole = run("workload.table_layout=none", hardware=hardware)
    assert whole.bytes["block_table"] == whole.stalls["translation"] == 0


def test_a_sample_of_it_says_the_same() -> None:
    sets = ("workload.table_layout=none", "workload.batch=16", "workload.context=8192")
    sampled, full = run(*sets, fidelity="sampled"), run(*sets)
    assert sampled.sampling["share"] < 0.5
    assert sampled.time_ns == pytest.approx(full.time_ns, rel=0.02)
    assert sampled.bytes["block_table"] == 0


@pytest.mark.parametrize(
    "sets",
    [
        ("workload.page_order=shuffled",),
        ("workload.shared_prefix=256",),
        ("workload.tier.name=cxl", "workload.tier.fraction=0.5"),
    ],
)
def test_what_only_pages_can_do_is_refused(sets: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"without a block table; allowed: "):
        load_workload("decode_16x8k", (*sets, "workload.table_layout=none"))


def test_a_stored_trace_keeps_its_block_table(tmp_path: Path) -> None:
    spec = load_workload("decode_16x8k", ONE).spec
    write_stored(tmp_path / "step.npz", spec, engine_step(spec, model_of(spec), 0))
    with pytest.raises(InputError, match="table_layout: found none; allowed: flat or two_level"):
        load_stored(tmp_path / "step.npz", ("workload.table_layout=none",))


@pytest.mark.parametrize(
    ("kernel", "page_size", "notes", "layout"),
    [
        ("PyTorch SDPA flash", None, "", "none"),
        ("FlashAttention-2", None, "", "none"),
        ("FlashAttention-2", 256, "", "flat"),
        ("FlexAttention", None, "shuffled pages", "flat"),
        ("vLLM FlashAttention-3", None, "", "flat"),
    ],
)
def test_libraries_are_timed_on_dense_tensors_unless_the_row_has_pages(
    kernel: str, page_size: int | None, notes: str, layout: str
) -> None:
    case = mapped_row(
        source="a blog", gpu="H100", kernel=kernel, page_size=page_size, notes=notes, value=100.0
    )
    assert case.workload.table_layout == layout
