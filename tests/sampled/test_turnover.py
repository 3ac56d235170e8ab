"""What beginning and ending CTAs take, by hand; and the account of sampled runs beside what is known without one."""

import numpy as np
import pytest

from sim.accounting import account_parts
from sim.causes import CAUSES, INDEX
from sim.cli.job import run_named
from sim.device.order import Order
from sim.device.recorder import RESIDENT
from sim.errors import SelfCheckError
from sim.result import Result
from sim.sampled.turnover import Lives, Turns, lives, sm_of_ctas, steady_account, with_known

ISSUE, TENSOR, STORE = (INDEX[cause] for cause in ("issue", "tensor", "store"))


def rows(*of_sm: tuple[int, int, int]) -> np.ndarray:
    return np.array(of_sm, np.int64).reshape(-1, 3)


def cta(at: int, tiles: int) -> list[tuple[int, int, int]]:
    """4 ps of entry, tiles of 2 ps, 3 ps of output."""
    end = at + 4 + 2 * tiles
    return [(RESIDENT, at, end + 3), (ISSUE, at, at + 4), (TENSOR, at + 4, end), (STORE, end, end + 3)]


def found(account: np.ndarray) -> dict[str, float]:
    """Causes of an account that have any time."""
    return {cause: value for cause, value in zip(CAUSES, account.tolist(), strict=True) if value}


def test_an_account_has_parts_and_in_each_what_lies_in_spans() -> None:
    """4 ps of issue, 4 of tensor, 3 of store on both SMs, cut at 5 ps. Spans on SM 0 from 2 to 5 ps and twice from 8 to
    10: 2 of issue and 1 of tensor; 2 x 2 of store."""
    records = [rows(*cta(0, 2)), rows(*cta(0, 2))]
    spans = (np.array([0, 0, 0]), np.array([2, 8, 8]), np.array([5, 10, 10]))
    parts = account_parts(records, (), np.array([0, 5, 11]), [spans])
    assert [found(part[0]) for part in parts] == [{"issue": 8, "tensor": 2}, {"tensor": 6, "store": 6}]
    assert [found(part[1]) for part in parts] == [{"issue": 2, "tensor": 1}, {"store": 4}]


def test_parts_need_one_cause_each_as_the_whole_does() -> None:
    with pytest.raises(SelfCheckError, match="SM 0 at 4 ps"):
        account_parts([rows((RESIDENT, 0, 9), (ISSUE, 0, 4))], (), np.array([0, 9]))


def test_a_cta_ended_where_one_left() -> None:
    residence = [rows((RESIDENT, 0, 7), (RESIDENT, 7, 12)), rows((RESIDENT, 0, 7), (RESIDENT, 8, 11))]
    on = sm_of_ctas(residence, np.array([11, 7, 12, 7]))
    assert on is not None
    assert on.tolist() == [1, 0, 0, 1]
    assert sm_of_ctas(residence, np.array([11, 7, 12, 9])) is None


def parts_of(records: list[np.ndarray], run: Lives, marks: list[int]) -> np.ndarray:
    return account_parts(records, (), np.array(marks), [run.begins, run.ends])


def test_a_whole_launch_has_its_own_number_of_turns() -> None:
    """Two CTAs of 3 tiles after each other. Of each, 4 ps of entry and the first tile's 2 are its beginning, 3 its end,
    2 tiles remain. Of 1000 ps with 10 turns, 40 are entry, 30 output, 20 first tiles, and what is left tiles."""
    record = rows(*cta(0, 3), *cta(13, 3))
    order = Order(np.array([6, 8, 10, 19, 21, 23]), np.array([13, 26]))
    run = lives([record], order, np.array([0, 3, 6]))
    assert run is not None
    steady, tail = parts_of([record], run, [0, 26, 27])
    assert steady[1:].sum() == 2 * (6 + 3)
    account = steady_account(steady, 0 * tail, run.begun(0), run.ended(0), Turns(1000.0, 10))
    assert found(account) == pytest.approx({"issue": 40, "store": 30, "tensor": 1000 - 70})


def test_turns_count_within_a_window_and_on_the_sm_where_they_are() -> None:
    """Two CTAs of an SM at once, the second 2 ps later, and one of another SM: 6 ps of beginning each, of which from 5
    to 20 ps 1, 3 and 1 are left, and ends of 3 ps at 10, 12 and 10, all of which lie there."""
    one, other = rows(*cta(0, 3), *cta(2, 3)), rows(*cta(0, 3))
    order = Order(np.array([6, 8, 10, 8, 10, 12, 6, 8, 10]), np.array([13, 15, 13]))
    run = lives([one, other], order, np.array([0, 3, 6, 9]))
    assert run is not None
    ((_, begins, ends),) = parts_of([one, other], run, [5, 20])
    assert begins.sum() == 1 + 3 + 1
    assert ends.sum() == 3 * 3
    assert (run.begun(1), run.ended(11)) == (1, 1)


def test_a_launch_of_turns_alone_has_no_room_for_tiles() -> None:
    record = rows(*cta(0, 3))
    run = lives([record], Order(np.array([6, 8, 10]), np.array([13])), np.array([0, 3]))
    assert run is not None
    (steady,) = parts_of([record], run, [0, 13])
    account = steady_account(steady, 0 * steady, 1, 1, Turns(90.0, 1000))
    assert account.sum() == pytest.approx(90)
    assert account[TENSOR] == pytest.approx(20)


def test_a_launch_that_ends_with_its_sample_has_no_steady_part() -> None:
    """Nothing lies between a sample's head and its tail in the whole launch, nor does any CTA follow another."""
    record = rows(*cta(0, 3))
    run = lives([record], Order(np.array([6, 8, 10]), np.array([13])), np.array([0, 3]))
    assert run is not None
    (steady,) = parts_of([record], run, [0, 13])
    assert not steady_account(steady, 0 * steady, 1, 1, Turns(0.0, 0)).any()


def test_what_is_known_is_taken_as_it_is_and_the_rest_shares_what_is_left() -> None:
    """Of 100, 50 tensor and 10 store are known; 60 issue and 20 alu share 40 by three to one."""
    account = np.zeros(len(CAUSES))
    account[[TENSOR, ISSUE, INDEX["alu"], STORE]] = 15, 60, 20, 5
    assert found(with_known(account, {TENSOR: 50.0, STORE: 10.0})) == pytest.approx(
        {"tensor": 50, "store": 10, "issue": 30, "alu": 10}
    )


def test_no_more_is_known_than_there_is() -> None:
    account = np.zeros(len(CAUSES))
    account[[TENSOR, ISSUE]] = 30, 70
    assert found(with_known(account, {STORE: -5.0, TENSOR: 120.0})) == {"tensor": 100}


def sampled(workload: str, hardware: str) -> Result:
    return run_named(workload, hardware, (), fidelity="sampled", seed=0, what_if=False, verify=False)


@pytest.mark.parametrize("hardware", ["h100_sxm", "h200_sxm"])
def test_tensor_time_of_a_sampled_account_is_that_of_all_tiles(hardware: str) -> None:
    """Products come first among the causes and their unit does one thing at a time: so their share of the SM-time is
    the unit's utilisation, which counts the tiles of the whole launch. 13 to 20% less was accounted for, with up to
    thirteen times as many CTAs that wait for their first tile and write their output."""
    result = sampled("decode_64x8k", hardware)
    assert result.stalls is not None
    assert result.sampling["share"] < 0.1
    assert result.stalls["tensor"] == pytest.approx(result.utilisation["tensor"], rel=0.01)
    assert result.stalls["store"] < 0.01
    assert result.stalls["translation"] < 0.01
    assert sum(result.stalls.values()) == pytest.approx(1, abs=1e-9)


def test_a_launch_whose_block_table_is_walked_runs_whole() -> None:
    """The tile grain knows no walkers: on pages of 16 tokens a sample was 11% too fast, outside its interval of 2%."""
    sets = ("workload.batch=8", "workload.context=4096", "workload.page_tokens=16", "workload.kernel=fa3")
    part, whole = (
        run_named("decode_64x8k", "h200_assist", sets, fidelity=fidelity, seed=0, what_if=False, verify=False)
        for fidelity in ("sampled", "full")
    )
    assert part.sampling["relative_ci95"] == 0.0
    assert part.time_ns == whole.time_ns
