"""Counters of a whole kernel from those of a sample, which has fewer tiles a CTA.

What a CTA reads and writes for its tiles grows with the KV bytes; its query rows, its output and the split reduction do
not, and entries of the block table come in lines. Their bytes are known for the whole kernel and are taken as they are.
Query rows come from memory where a CTA is the first to ask for them; partial results that had left L2 when the
reduction asked are read back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.coarse.estimate import Coarse, Problem
from sim.coarse.grid import Grid
from sim.coarse.hits import query_missing
from sim.coarse.machine import Timing
from sim.coarse.shares import ONE
from sim.lowering.attention_tiles import line_runs
from sim.lowering.units import Units

OF_MEMORY = ("trains", "activates", "row_hits", "turnarounds", "hbm_busy", "hbm_ecc", "l2_far")
"""Counters that grow with the bytes of device memory; check bits of inline ECC are as large a part as in the sample."""
OF_PORTS = ("chunks", "noc_busy", "l2_busy", "tlb_l1_misses")
"""Counters that grow with the bytes requested."""
OF_RESULTS = ("l2_write", "hbm_write", "evictions_dirty", "requested_output", "requested_partial")
"""Counters that grow with the bytes written."""


@dataclass(frozen=True)
class Fixed:
    """Bytes that a kernel moves beside those of its tiles: read as queries, of block tables and by the reduction,
    written by the attention launch and by the reduction."""

    query: int
    table: int
    merged: int
    written: int
    results: int

    @property
    def read(self) -> int:
        return self.query + self.table + self.merged

    @property
    def stored(self) -> int:
        return self.written + self.results


def table_bytes(problem: Problem, units: Units) -> int:
    """Bytes that CTAs request of block tables, in whole sectors: of a shortened CTA as many lines as it has left."""
    p, sector = problem, problem.hw.l2.sector_bytes
    if not p.look_up.software:
        return 0
    runs, _ = line_runs(p.step, units, p.cut, p.addresses.table_base, p.look_up.entry_bytes)
    sectors = (runs.address + runs.size - 1) // sector - runs.address // sector + 1
    directory = len(units.sequence) if p.look_up.two_level else 0
    return int(sectors.sum() + directory) * sector


def fixed_bytes(kernel: Coarse, table: int) -> Fixed:
    combine = kernel.combine
    return Fixed(
        query=int(kernel.grid.query_bytes.sum()),
        table=table,
        merged=0 if combine is None else int(combine.tile_bytes.sum()),
        written=int(kernel.grid.output_ptr[-1]),
        results=0 if combine is None else int(combine.output_ptr[-1]),
    )


@dataclass(frozen=True)
class Pair:
    """A whole kernel and its sample."""

    whole: Coarse
    part: Coarse
    table: int = 0
    table_part: int = 0
    """Bytes of block tables that the CTAs of both read."""

    @property
    def scale(self) -> float:
        """KV bytes of the whole over those of the sample."""
        return int(self.whole.grid.tile_bytes.sum()) / int(self.part.grid.tile_bytes.sum())


def whole_counters(
    seen: Mapping[str, int], pair: Pair, timing: Timing, timing_part: Timing
) -> dict[str, int]:
    """Counters of the whole kernel from those of its sample. timing, timing_part: of both at tile grain."""
    grid, part = pair.whole.grid, pair.part.grid
    rows = query_missing(grid, timing.query_hits)
    counters = _moved(seen, pair, rows, query_missing(part, timing_part.query_hits))
    _find_more(counters, _found(grid, timing.hits) - pair.scale * _found(part, timing_part.hits))
    return counters | _in_proportion(seen, counters)


def _moved(seen: Mapping[str, int], pair: Pair, rows: float, rows_part: float) -> dict[str, int]:
    """If the tiles of the whole find as much in L2 as those of the sample. rows, rows_part: bytes of query rows that
    both read from memory."""
    scale = pair.scale
    all_of, some = fixed_bytes(pair.whole, pair.table), fixed_bytes(pair.part, pair.table_part)
    again = min(some.merged, seen["hbm_write"])
    fixed = rows_part + again
    of_all = rows + again * all_of.merged / max(1, some.merged)
    counters = {name: round(value * scale) for name, value in seen.items()}
    counters["l2_read"] = round(scale * (seen["l2_read"] - some.read)) + all_of.read
    for name in ("l2_miss", "hbm_read"):
        counters[name] = round(scale * max(0.0, seen[name] - fixed) + min(of_all, scale * seen[name]))
    counters["l2_hit"] = counters["l2_read"] - counters["l2_miss"]
    for name in OF_RESULTS:
        counters[name] = round(seen[name] * all_of.stored / some.stored)
    counters["requested"] = counters["l2_read"] + counters["l2_write"]
    ends = all_of.read + all_of.stored
    counters["wanted"] = round(scale * (seen["wanted"] - some.read - some.stored)) + ends
    counters["requested_metadata"] = all_of.table
    counters["requested_kv"] = round(scale * (seen["requested_kv"] - some.query)) + all_of.query
    return counters


def _find_more(counters: dict[str, int], found: float) -> None:
    """Bytes that are found in L2 and so not read from memory; of those that are read at all."""
    shift = min(max(round(found), -counters["l2_hit"]), counters["l2_miss"], counters["hbm_read"])
    counters["l2_hit"] += shift
    counters["l2_miss"] -= shift
    counters["hbm_read"] -= shift


def _in_proportion(seen: Mapping[str, int], counters: Mapping[str, int]) -> dict[str, int]:
    """What grows with the bytes of memory or of the ports."""
    moved = (counters["hbm_read"] + counters["hbm_write"]) / max(1, seen["hbm_read"] + seen["hbm_write"])
    asked = counters["requested"] / seen["requested"]
    ratios = dict.fromkeys(OF_MEMORY, moved) | dict.fromkeys(OF_PORTS, asked)
    return {name: round(seen[name] * ratio) for name, ratio in ratios.items() if name in seen}


def _found(grid: Grid, hits: NDArray[np.int64]) -> float:
    return float((grid.tile_bytes * (hits / ONE)).sum())
