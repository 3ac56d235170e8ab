"""Resident CTAs that load for their next item while they finish one: times by hand, and the same from both planes."""

from collections.abc import Sequence
from typing import Any

import pytest
import simpy

from sim.cli.job import run_named
from sim.device.chain import ALU, DELAY, Chain, Step
from sim.device.dispatch import Plan, run_grid
from sim.device.job import Context, Job
from sim.device.sm import Sm

CTA, PROLOGUE, ITEM, EPILOGUE, WORK, STORE = 100, 50, 7, 40, 200, 90
"""ps. WORK: of a tile."""


class FlatMemory:
    """Every fetch takes `trip` ps, every store STORE; `asked`: when each was asked for."""

    def __init__(self, env: simpy.Environment, trip: int, stores: set[int]) -> None:
        self.env, self.trip, self.stores = env, trip, stores
        self.asked: dict[int, int] = {}

    def submit(self, _sm: int, fetch: int, at: int, kept: bool = False) -> simpy.Event:
        self.asked[fetch] = at
        return self.env.timeout(STORE if fetch in self.stores else self.trip)


def job(items: int, tiles: int, ahead: bool) -> Job:
    """Items of equal tiles; two buffers."""
    count = items * tiles
    return Job(
        tile_ptr=range(0, count + 1, tiles),
        tile_line=[-1] * count,
        tile_bytes=[10] * count,
        last_line=[-1] * items,
        root=[-1] * items,
        output=range(count, count + items),
        tile_output=[],
        fetch_offset=0,
        buffer_bytes=20,
        alone=False,
        streams=1,
        runs_ahead=ahead,
        prologue_ps=PROLOGUE,
        epilogue_ps=EPILOGUE,
        chains=[Chain(0, (Step(DELAY, ALU, WORK),))],
        chain_of=[0] * count,
    )


def end_and_memory(items: int, tiles: int, trip: int, ahead: bool = True) -> tuple[int, FlatMemory]:
    """End of a grid of equal items on one SM."""
    env = simpy.Environment(initial_time=0)
    memory = FlatMemory(env, trip, set(range(items * tiles, items * tiles + items)))
    context = Context(env, memory, None, None)  # type: ignore[arg-type]
    plan = Plan(range(items), "counter", CTA, ITEM)
    env.run(until=run_grid(context, job(items, tiles, ahead), [Sm(0)], 1, plan))
    return int(env.now), memory


@pytest.mark.parametrize("trip", [20, 300])
def test_a_further_item_costs_what_of_its_trip_the_end_of_the_last_does_not_cover(trip: int) -> None:
    first = CTA + PROLOGUE + trip + WORK
    further = max(EPILOGUE + ITEM, trip) + WORK
    assert end_and_memory(1, 1, trip)[0] == first + EPILOGUE + STORE
    assert end_and_memory(4, 1, trip)[0] == first + 3 * further + EPILOGUE + STORE


def test_one_item_after_the_other_pays_entry_trip_and_store_each_time() -> None:
    each = 300 + WORK + EPILOGUE + STORE
    assert end_and_memory(4, 1, 300, ahead=False)[0] == CTA + PROLOGUE + 4 * each + 3 * ITEM


def test_the_next_item_is_asked_for_when_the_tiles_of_this_one_are_done_and_fills_the_buffers() -> None:
    _, memory = end_and_memory(2, 3, 300)
    # The third tile is asked for when the first is done; its trip outlasts the second one's work.
    done = CTA + PROLOGUE + 300 + WORK + 300 + WORK
    assert [memory.asked[tile] for tile in (3, 4)] == [done, done]
    assert memory.asked[5] > done


def test_the_grid_ends_with_the_last_store() -> None:
    end, memory = end_and_memory(3, 1, 300)
    assert end == max(memory.asked[store] for store in memory.stores) + STORE


SHAPE: Sequence[str] = (
    "workload.model={layers: 1, q_heads: 8, kv_heads: 8, head_dim: 128, hidden: 1024, ffn: 8, vocab: 1}",
    *("workload.batch=4", "workload.context=512", "workload.q_len=512", "workload.page_tokens=256"),
    "hw.sm.count=16",
)


def time_us(kernel: str, fidelity: str = "full", causal: bool = False) -> float:
    sets = (*SHAPE, f"workload.kernel={kernel}", f"workload.causal={str(causal).lower()}")
    result = run_named("prefill_4k", "h100_sxm", sets, fidelity=fidelity, seed=0, what_if=False, verify=False)
    return float(result.time_ns) / 1e3


def test_items_of_flashattention_3_cost_less_ahead_than_one_by_one(tmp_path: Any) -> None:
    """Eight items an SM. Each but the first saves its entry, a look-up and the store, and a part of its first trip."""
    plain = tmp_path / "plain.yaml"
    plain.write_text("base: fa3_dense_prefill\nname: plain\nruns_ahead: false\nscheduling: grid\n")
    saved = (time_us(str(plain)) - time_us("fa3_dense_prefill")) / 7
    assert 1.5 < saved < 3.5


@pytest.mark.parametrize("causal", [False, True])
def test_tile_grain_agrees_with_the_whole_simulation(causal: bool) -> None:
    full = time_us("fa3_dense_prefill", "full", causal)
    assert time_us("fa3_dense_prefill", "sampled", causal) == pytest.approx(full, rel=0.04)


def test_a_run_that_is_recorded_ends_alike(tmp_path: Any) -> None:
    """`--verify` replays the order on real data: nothing is consumed before it came, whoever asked for it."""
    sets = (*SHAPE, "workload.kernel=fa3_dense_prefill", "workload.batch=1", "workload.context=256")
    sets = (*sets, "workload.q_len=256", "hw.sm.count=4")
    result = run_named("prefill_4k", "h100_sxm", sets, fidelity="full", seed=0, what_if=False, verify=True)
    assert result.verify is not None
    assert result.verify["ok"]
