"""Block tables of a replay: what an identical run before has read of them is in L2."""

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_workload
from sim.result import Result

# 4 sequences of 512 tokens, 8 heads of 128 in 16 bits: 8.4 MB, a third of an L2 of 50 MiB with copies in both halves.
FITS = ("workload.batch=4", "workload.context=512")


def run(hardware: str, *sets: str) -> Result:
    workload = load_workload("decode_16x8k", (*FITS, *sets))
    return simulate(load_hardware(hardware).spec, workload.spec)


@pytest.mark.parametrize("hardware", ["h100_sxm", "l40s", "h200_assist"])
@pytest.mark.parametrize("page", [1, 16])
def test_where_all_fits_a_replay_reads_no_memory(hardware: str, page: int) -> None:
    result = run(hardware, "workload.l2_state=warm", f"workload.page_tokens={page}")
    assert result.bytes["hbm_read"] == 0
    assert result.bytes["block_table"] > 0


@pytest.mark.parametrize("splits", [1, 2])
def test_a_replay_without_tables_reads_none(splits: int) -> None:
    cut = f"workload.mapping={{tile_tokens: 64, splits: {splits}, stages: 2, ctas_per_sm: 1}}"
    warm = ("workload.l2_state=warm", "workload.table_layout=none", "workload.kernel=fa3", cut)
    result = run("h200_assist", *warm)
    assert result.bytes["hbm_read"] == result.bytes["block_table"] == 0


def test_a_two_level_table_is_found_too() -> None:
    assert run("h100_sxm", "workload.l2_state=warm", "workload.table_layout=two_level").bytes["hbm_read"] == 0


@pytest.mark.parametrize("hardware", ["h100_sxm", "h200_assist"])
def test_a_replay_waits_less_for_its_tables(hardware: str) -> None:
    """The first entries of a CTA: a trip to L2 in place of one to memory."""
    times = {}
    for state in ("cold", "warm"):
        result = run(hardware, f"workload.l2_state={state}")
        assert result.stalls is not None
        times[state] = result.stalls["translation"] * result.time_ns
    assert 0 < times["warm"] < 0.8 * times["cold"]
