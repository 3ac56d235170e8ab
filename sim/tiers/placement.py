"""Pages of a step that must be brought in from a tier, and what that means for the launch: writes and gates."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simpy
from numpy.typing import NDArray

from kernels_ref.trace import DEVICE, Step
from sim.lowering.attention import fetch_table
from sim.lowering.launch import Launch
from sim.lowering.runs import Runs, pointer
from sim.memory.addresses import AddressMap
from sim.memory.fetches import FetchTable, TrafficClass
from sim.tiers.copy_engine import CopyEngines, PageCopies, pages_to_copy


@dataclass(frozen=True)
class TierPlan:
    """Copies of a step, their writes into device memory (one fetch per page), and each tile's pages."""

    step: Step
    copies: PageCopies
    writes: FetchTable
    prefetch: bool
    tile_sequence: NDArray[np.int64]
    tile_first: NDArray[np.int64]
    tile_last: NDArray[np.int64]

    def tile_frames(self, tile: int) -> NDArray[np.int32]:
        """Frames of the tile that were not in device memory before the step."""
        row = self.step.row(int(self.tile_sequence[tile]))
        frames = row[self.tile_first[tile] : self.tile_last[tile]]
        away: NDArray[np.int32] = frames[self.step.frame_residency[frames] != DEVICE]
        return away


def page_pieces(addresses: AddressMap) -> list[tuple[int, ...]]:
    """[formats] bytes of each contiguous piece (K, V, scales) of one whole page."""
    unit = addresses.heads * addresses.page_tokens
    return [tuple(part.token_bytes * unit for part in row) for row in addresses.parts]


def plan_tiers(step: Step, addresses: AddressMap, launch: Launch, *, prefetch: bool) -> TierPlan | None:
    """The plan, or None when every page is in device memory."""
    if (step.frame_residency[step.table] == DEVICE).all():
        return None
    copies = pages_to_copy(step, page_pieces(addresses))
    counts = np.array([len(pieces) for pieces in copies.piece_bytes])
    size = np.array([s for pieces in copies.piece_bytes for s in pieces], np.int64)
    base = [part.base for frame in copies.frame for part in addresses.parts[addresses.frame_format[frame]]]
    rank = np.repeat(addresses.rank[copies.frame], counts)
    runs = Runs(pointer(counts), np.array(base, np.int64) + rank * size, size)
    cta = np.repeat(np.arange(launch.ctas.count), np.diff(launch.ctas.tile_ptr))
    first = launch.work.token_first.astype(np.int64)
    return TierPlan(
        step=step,
        copies=copies,
        writes=fetch_table([runs], [np.full(len(counts), TrafficClass.KV)], writes_from=0),
        prefetch=prefetch,
        tile_sequence=launch.ctas.sequence[cta].astype(np.int64),
        tile_first=first // step.page_tokens,
        tile_last=-(-(first + launch.work.tokens) // step.page_tokens),
    )


def make_gate(
    env: simpy.Environment, plan: TierPlan, engines: CopyEngines
) -> Callable[[int], simpy.Event | None]:
    """A function of the tile: the event after which its pages are there, None when they are."""
    arrived: dict[int, simpy.Event] = {}

    def gate(tile: int) -> simpy.Event | None:
        if tile in arrived:
            return arrived[tile]
        frames = plan.tile_frames(tile)
        pending = [event for frame in frames.tolist() if not (event := engines.request(frame)).processed]
        if not pending:
            return None
        arrived[tile] = env.all_of(pending)
        return arrived[tile]

    return gate
