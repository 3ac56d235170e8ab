"""What the page policies and the starvation cap are for, each on a stream where it must show."""

from dataclasses import replace

import numpy as np
import pytest

from sim.errors import InputError
from sim.memory.dram.config import ControllerConfig
from sim.memory.dram.controller import ExactDram
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.presets import controller_for
from sim.memory.dram.standards import STANDARDS
from sim.memory.dram.stream import Stream, StreamSpec, make_stream

CONTROLLER = replace(controller_for(STANDARDS["HBM2"]), pcs=1, refresh="none")
MAPPING = AddressMapping.parse("of5.co5.bg2.ba2.ro12")
TRP = 14


def median_latency(config: ControllerConfig, run_bytes: int) -> float:
    """Reads one at a time, 640 ns apart: random rows (64-byte runs) or one row after the other (0)."""
    spec = StreamSpec(
        n_req=2000, run_bytes=run_bytes, capacity_bytes=1 << 24, arrival="even", load=0.1, peak_gb_s=1.0
    )
    dram = ExactDram(config, MAPPING, make_stream(spec), 0)
    dram.run_to_end()
    return float(np.median(dram.done - dram.arrival))


def test_closed_page_saves_the_precharge_of_a_conflict() -> None:
    opened = median_latency(CONTROLLER, run_bytes=64)
    closed = median_latency(replace(CONTROLLER, page="closed"), run_bytes=64)
    assert opened - closed == TRP


def test_open_page_saves_the_activate_of_a_hit() -> None:
    opened = median_latency(CONTROLLER, run_bytes=0)
    closed = median_latency(replace(CONTROLLER, page="closed"), run_bytes=0)
    assert closed - opened == CONTROLLER.rcd_rd


@pytest.mark.parametrize(("run_bytes", "like"), [(64, "closed"), (0, "open")])
def test_adaptive_page_learns_which_of_the_two_pays(run_bytes: int, like: str) -> None:
    adaptive = median_latency(replace(CONTROLLER, page="adaptive"), run_bytes)
    assert adaptive == median_latency(replace(CONTROLLER, page=like), run_bytes)  # type: ignore[arg-type]


@pytest.mark.parametrize("mixed", [False, True])
def test_a_starvation_cap_bounds_the_wait_of_a_conflict_behind_a_stream_of_hits(mixed: bool) -> None:
    # Every read but one hits row 0 of bank 0; the odd one wants row 1 of it. Hits every tCCD_L = 4 ticks
    # keep pushing the precharge away by tRTP = 5, for ever.
    n, odd = 1500, 40
    columns = np.arange(n, dtype=np.int64) % 16
    addr = MAPPING.encode({"co": 2 * columns}, n)
    addr[odd] = MAPPING.encode({"ro": np.ones(1, dtype=np.int64)}, 1)[0]
    wr = np.zeros(n, dtype=np.bool_)
    wr[odd + 100 :: 50] = mixed
    stream = Stream(addr, wr, np.zeros(n, dtype=np.int64))
    waits = []
    for cap in (0, 8):
        dram = ExactDram(replace(CONTROLLER, starvation_cap=cap), MAPPING, stream, 64)
        dram.run_to_end()
        waits.append(int(dram.done[odd] - dram.taken[odd]))
    # At most 63 older accesses go first, tCCD_L each, then a precharge, an activate and two columns.
    assert waits[1] < 64 * CONTROLLER.ccd_l + 80
    if not mixed:
        assert waits[0] > 5000


def test_the_bank_queue_controller_refuses_what_it_does_not_model() -> None:
    bank_queues = controller_for(STANDARDS["HBM2"], "bank_queues")
    for change in ({"page": "adaptive"}, {"refresh": "per_bank"}):
        with pytest.raises(InputError, match="bank queues"):
            replace(bank_queues, **change)  # type: ignore[arg-type]
