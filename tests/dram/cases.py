"""Small controllers and streams that together reach every policy, refresh kind and page policy."""

from dataclasses import dataclass, replace

from sim.memory.dram.config import ControllerConfig
from sim.memory.dram.controller import ExactDram
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.presets import controller_for
from sim.memory.dram.standards import STANDARDS
from sim.memory.dram.stream import Stream, StreamSpec, make_stream

FAST_REFRESH = 700  # ticks: several refreshes even in a short stream


@dataclass(frozen=True)
class Case:
    name: str
    config: ControllerConfig
    mapping: str

    @property
    def channels(self) -> int:
        m = AddressMapping.parse(self.mapping)
        return 1 << (m.width("ch") + (m.width("pc") if self.config.pcs == 1 else 0))


def _quick(config: ControllerConfig) -> ControllerConfig:
    return replace(config, refi=max(FAST_REFRESH, 2 * config.rfc), refipb=max(60, config.rfcpb // 3))


_HBM2 = STANDARDS["HBM2"]
_HBM3 = STANDARDS["HBM3"]
_FRFCFS2 = _quick(controller_for(_HBM2, "frfcfs", 32))
_FRFCFS3 = _quick(controller_for(_HBM3, "frfcfs", 32))
_BANKS = _quick(controller_for(_HBM2, "bank_queues", 32))
_MAP2 = "of5.pc1.ch1.bg2.co5.ba2.ro12"
_MAP3 = "of5.pc1.ch1.bg2.co5.ba2.si1.ro12"

CASES = (
    Case("bank queues", _BANKS, _MAP2),
    Case("bank queues, closed page", replace(_BANKS, page="closed"), _MAP2),
    Case(
        "bank queues, GDDR6",
        _quick(controller_for(STANDARDS["GDDR6"], "bank_queues")),
        "of5.co6.bg2.ba2.ro12",
    ),
    Case("FR-FCFS, HBM2, all-bank", replace(_FRFCFS2, refresh="all_bank", act_ticks=2), _MAP2),
    Case("FR-FCFS, HBM2, per-bank", replace(_FRFCFS2, refresh="per_bank"), _MAP2),
    Case("FR-FCFS, no hit protection", replace(_FRFCFS2, row_hit_first=False), _MAP2),
    Case("FR-FCFS, closed page", replace(_FRFCFS2, page="closed"), _MAP2),
    Case("FR-FCFS, HBM3, adaptive page, capped", replace(_FRFCFS3, page="adaptive", starvation_cap=2), _MAP3),
    Case("FR-FCFS, HBM3, all-bank", replace(_FRFCFS3, refresh="all_bank"), _MAP3),
    Case("FR-FCFS, HBM3, per-bank sets", _FRFCFS3, _MAP3),
)


def stream_for(case: Case, seed: int, n: int, **changes: object) -> Stream:
    """A random stream over a quarter of a GiB, by default with writes and runs of 256 bytes."""
    spec = StreamSpec(n_req=n, run_bytes=256, capacity_bytes=1 << 28, seed=seed, write_frac=0.2)
    return make_stream(replace(spec, **changes))  # type: ignore[arg-type]


def dram_for(case: Case, stream: Stream, window: int, log_commands: int = 0) -> ExactDram:
    return ExactDram(case.config, AddressMapping.parse(case.mapping), stream, window, log_commands)
