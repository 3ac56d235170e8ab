"""Pages of a step that must be brought in from a tier, and what that means for the launch: writes and gates.

Only pages that some tile reads are copied. A copy engine is no SM: what arrives is written through as many ports as
carry the data of the fastest link, or of the device memory if that is slower, each with a slice of every page.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simpy
from numpy.typing import NDArray

from kernels_ref.trace import DEVICE, Step
from sim.config.hardware import Hardware
from sim.lowering.attention import fetch_table
from sim.lowering.launch import Launch
from sim.lowering.runs import Runs, pointer, repeat_index
from sim.memory.addresses import AddressMap
from sim.memory.fetches import FetchTable, TrafficClass
from sim.memory.peaks import peak_gb_s
from sim.tiers.copy_engine import CopyEngines, PageCopies, pages_to_copy


@dataclass(frozen=True)
class TierPlan:
    """Copies of a step, their writes into device memory, and each tile's pages."""

    step: Step
    copies: PageCopies
    writes: FetchTable
    """Fetches page after page: one for each port that writes a slice of the page."""
    write_ptr: list[int]
    """[pages copied + 1] bounds of each page's fetches."""
    ports: int
    """Ports that the copies are written through."""
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


def copy_ports(step: Step, hw: Hardware) -> int:
    """Ports of `noc.write_bytes_per_clk` each that carry what the links deliver, at most what device memory takes."""
    delivered = min(max(hw.tiers[name].bandwidth_gb_s for name in step.tiers), peak_gb_s(hw.hbm))
    return math.ceil(delivered / (hw.noc.write_bytes_per_clk * hw.sm.clock_ghz))


def _slices(size: NDArray[np.int64], ports: int, unit: int) -> tuple[NDArray[np.int64], ...]:
    """(piece, port, offset, bytes) of the slices of contiguous pieces of `size` bytes: whole units but the last."""
    step = -(-size // (ports * unit)) * unit
    counts = -(-size // step)
    piece, port = repeat_index(counts)
    offset = port * step[piece]
    return piece, port, offset, np.minimum(step[piece], size[piece] - offset)


def page_writes(
    addresses: AddressMap, copies: PageCopies, ports: int, unit: int
) -> tuple[FetchTable, list[int]]:
    """The writes of all pages, [pages + 1] bounds of each page's fetches; unit: bytes that are not divided."""
    counts = np.array([len(pieces) for pieces in copies.piece_bytes], np.int64)
    size = np.array([s for pieces in copies.piece_bytes for s in pieces], np.int64)
    base = [part.base for frame in copies.frame for part in addresses.parts[addresses.frame_format[frame]]]
    address = np.array(base, np.int64) + np.repeat(addresses.rank[copies.frame], counts) * size
    page = np.repeat(np.arange(len(counts)), counts)
    piece, port, offset, slice_bytes = _slices(size, ports, unit)
    order = np.lexsort((piece, port, page[piece]))
    fetch, runs = np.unique(page[piece[order]] * ports + port[order], return_counts=True)
    table = fetch_table(
        [Runs(pointer(runs), (address[piece] + offset)[order], slice_bytes[order])],
        [np.full(len(fetch), TrafficClass.KV)],
        writes_from=0,
    )
    return table, pointer(np.bincount(fetch // ports, minlength=len(counts))).tolist()


def _entries_read(
    step: Step, sequence: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """[entries of the block table] whether a tile reads the page; tiles: pages [first, last) of `sequence`."""
    edges = np.zeros(len(step.table) + 1, np.int64)
    np.add.at(edges, step.table_ptr[sequence] + first, 1)
    np.add.at(edges, step.table_ptr[sequence] + last, -1)
    return np.cumsum(edges[:-1]) > 0


def plan_tiers(
    step: Step, addresses: AddressMap, launch: Launch, hw: Hardware, *, prefetch: bool
) -> TierPlan | None:
    """The plan, or None when every page that the launch reads is in device memory."""
    cta = np.repeat(np.arange(launch.ctas.count), np.diff(launch.ctas.tile_ptr))
    sequence = launch.ctas.sequence[cta].astype(np.int64)
    token = launch.work.token_first.astype(np.int64)
    first, last = token // step.page_tokens, -(-(token + launch.work.tokens) // step.page_tokens)
    copies = pages_to_copy(step, _entries_read(step, sequence, first, last), page_pieces(addresses))
    if not len(copies.frame):
        return None
    ports = copy_ports(step, hw)
    writes, write_ptr = page_writes(addresses, copies, ports, hw.l2.line_bytes)
    return TierPlan(
        step=step,
        copies=copies,
        writes=writes,
        write_ptr=write_ptr,
        ports=ports,
        prefetch=prefetch,
        tile_sequence=sequence,
        tile_first=first,
        tile_last=last,
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
