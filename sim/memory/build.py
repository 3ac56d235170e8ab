"""Lay out the compiled plane's memory for a device and a fetch table."""

import mmap

import numpy as np

from sim.config.hardware import Hardware
from sim.memory import agenda, buckets, layout, tags
from sim.memory.division import reciprocal
from sim.memory.fetches import FetchTable
from sim.memory.granule import granule_bytes
from sim.memory.hbm_claims import B_FIRST, B_FIRST_WRITE, B_GROUP, B_ROW, E_NEXT, NEVER
from sim.memory.layout import (
    C_ACT_AT,
    C_BEST,
    C_EVENT,
    C_FAW,
    C_LONG_LAST,
    C_OLDEST,
    C_OLDEST_WRITE,
    C_PAIR,
    C_PARTNER,
    C_READ_HEAD,
    C_REFRESH,
    C_REFRESH_BANK,
    C_ROW_AT,
    C_SHORT_LAST,
    C_WAKE,
    C_WRITE_HEAD,
    C_YOUNGEST,
    C_YOUNGEST_WRITE,
    Memory,
)
from sim.memory.params import (
    BANK_COLS,
    ENTRY_COLS,
    OFF_BANK,
    OFF_ENTRIES,
    REFRESH_CODE,
    Param,
    build,
    entries,
    whole_lines,
)
from sim.memory.regions import NO_REGIONS, Regions

CELL_BYTES = 8
FIRST_POOL = 4096
"""Rows for requests at least; the pool grows by itself, but every growth copies the whole plane."""
KEPT_ROWS = 1 << 15
"""Rows for fetches: those under way, and those whose stamps have not been taken yet."""
PART_RUNS = 1 << 16
"""Runs whose pages are sorted at once."""
LONG_AGO = -(1 << 40)


def section(m: Memory, at: int, count: int, columns: int) -> Memory:
    """View of the section whose position cell `at` holds, as [count, columns]."""
    start = int(m[at])
    return m[start : start + count * columns].reshape(count, columns)


def new_memory(
    hw: Hardware,
    table: FetchTable,
    *,
    zero_latency: bool = False,
    log_rows: int = 0,
    regions: Regions = NO_REGIONS,
) -> Memory:
    """A plane at time zero with cold caches. Raises InputError for hardware that the plane cannot model."""
    p = build(hw, zero_latency=zero_latency, granule=granule_bytes(hw, table))
    return from_params(p, table, log_rows, regions)


def from_params(p: Memory, table: FetchTable, log_rows: int = 0, regions: Regions = NO_REGIONS) -> Memory:
    """The same from a parameter array; `log_rows` bounds the command log of device memory (`hbm_log`)."""
    sets, ways = int(p[Param.SLICES] * p[Param.SETS]), int(p[Param.WAYS])
    assist, rows, kept = int(p[Param.ASSIST]), first_rows(p), min(table.fetches, KEPT_ROWS)
    sizes = {
        layout.AT_PORTS: int(p[Param.SMS]) * layout.PORT_COLS,
        layout.AT_CREDITS: int(p[Param.SMS]) * _credit_cells(p),
        layout.AT_SLICES: int(p[Param.SLICES]) * layout.SLICE_COLS,
        layout.AT_LINKS: int(p[Param.PARTITIONS]),
        layout.AT_PORT_TLBS: int(p[Param.SMS]) * _tlb_cells(p, Param.TLB_L1_SETS, Param.TLB_L1_WAYS),
        layout.AT_TLB: _tlb_cells(p, Param.TLB_L2_SETS, Param.TLB_L2_WAYS),
        layout.AT_WALKERS: int(p[Param.TLB_WALKERS]),
        layout.AT_PORT_ASSISTS: assist * _sm_assist_cells(p),
        layout.AT_ASSIST: assist * int(p[Param.SHARED_SETS] * (3 * p[Param.SHARED_WAYS] + 1)),
        layout.AT_ENTRIES: len(table.entry_addr),
        layout.AT_LLC: int(p[Param.LLC] * p[Param.CHANNELS]) * _llc_cells(p),
        layout.AT_CHANNELS: int(p[Param.CHANNELS] * p[Param.CHAN_COLS]),
        layout.AT_PLACES: buckets.BUCKETS * buckets.PLACES,
        layout.AT_WORDS: buckets.BUCKETS >> buckets.WORD_SHIFT,
        layout.AT_AGENDA: agenda.AGENDA_CELLS,
        layout.AT_TAGS: sets * ways * tags.ROW_ARRAYS,
        layout.AT_RUNS: len(table.run_addr) * layout.RUN_COLS,
        layout.AT_OUT: table.fetches * layout.OUT_COLS,
        layout.AT_LOG: log_rows * layout.LOG_COLS,
        layout.AT_CLASSES: int(p[Param.RESIDENCY]) * len(table.run_addr),
        layout.AT_HEAP: int(p[Param.CHANNELS]) * layout.CHUNK_COLS,
        layout.AT_CHUNKS: (rows + kept) * layout.CHUNK_COLS,
    }
    sizes = {cell: whole_lines(size) for cell, size in sizes.items()}
    m = aligned(layout.FIRST_SECTION + sum(sizes.values()))
    m[: len(p)] = p
    m[layout.RECIPROCALS : layout.RECIPROCALS + len(p)] = [
        reciprocal(by) if by > 0 else 0 for by in p.tolist()
    ]
    position = layout.FIRST_SECTION
    for cell, size in sizes.items():
        m[cell] = position
        position += size
    m[layout.Q_NEXT] = m[layout.Q_LAST] = m[layout.AT_AGENDA]
    m[layout.Q_CROWD] = -1
    m[layout.Q_LOG] = m[layout.AT_LOG]
    m[layout.Q_LOG_END] = m[layout.AT_LOG] + log_rows * layout.LOG_COLS
    _tags(m, sets, ways)
    _ports(m, p)
    _slices(m, p)
    _channels(m, p)
    _runs(m, table)
    _tlbs(m, p, table)
    _assists(m, p, table)
    if p[Param.RESIDENCY]:
        section(m, layout.AT_CLASSES, len(table.run_addr), 1)[:, 0] = regions.classes_at(table.run_addr)
    if p[Param.LLC]:
        shares = section(m, layout.AT_LLC, int(p[Param.CHANNELS]), _llc_cells(p))
        _no_keys(shares[:, 1:], int(p[Param.LLC_SETS]), int(p[Param.LLC_WAYS]))
    m[layout.Q_FREE_HEAD] = m[layout.Q_FETCH_HEAD] = -1
    first = int(m[layout.AT_CHUNKS])
    chain(m, first, rows, layout.Q_FREE_HEAD)
    chain(m, first + rows * layout.CHUNK_COLS, kept, layout.Q_FETCH_HEAD)
    return m


def first_rows(p: Memory) -> int:
    """Rows that requests take when every port has all its bytes out, half of them on behalf of another partition."""
    full = int(p[Param.SMS] * p[Param.CAP]) // max(1, int(p[Param.CUT]))
    return max(FIRST_POOL, full + full // 2)


def aligned(cells: int) -> Memory:
    """Zeros that begin at a page, in memory of their own: it goes back to the system with them, where an allocator
    would keep the planes of a search's probes for arrays that do not fit into them.
    """
    if not hasattr(mmap, "MAP_PRIVATE"):  # Windows
        return np.frombuffer(mmap.mmap(-1, cells * CELL_BYTES), np.int64)
    pages = mmap.mmap(-1, cells * CELL_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.int64)


def grown(m: Memory, rows: int, head: int = layout.Q_FREE_HEAD) -> Memory:
    """The same plane with `rows` more rows, for requests or in the list of another head."""
    first = len(m)
    whole = aligned(first + rows * layout.CHUNK_COLS)
    whole[:first] = m
    chain(whole, first, rows, head)
    return whole


def chain(m: Memory, first: int, rows: int, head: int) -> None:
    """Put `rows` rows from position `first` on before the others in a list of free ones, whose count is behind its
    head.
    """
    if not rows:
        return
    pool = m[first : first + rows * layout.CHUNK_COLS].reshape(rows, layout.CHUNK_COLS)
    pool[:-1, layout.LINK] = first + np.arange(1, rows) * layout.CHUNK_COLS
    pool[-1, layout.LINK] = m[head]
    m[head] = first
    m[head + 1] += rows


def pool_rows(m: Memory) -> int:
    """Rows of requests and fetches, free or not."""
    return (len(m) - int(m[layout.AT_CHUNKS])) // layout.CHUNK_COLS


def commands(m: Memory) -> Memory:
    """[N, LOG_COLS] command log (`hbm_log`) in order of time, then of channels by number."""
    log = m[m[layout.AT_LOG] : m[layout.Q_LOG]].reshape(-1, layout.LOG_COLS).copy()
    log[:, 1] = (log[:, 1] - m[layout.AT_CHANNELS]) // m[Param.CHAN_COLS]
    return log[np.lexsort((log[:, 1], log[:, 0]))]


def _tags(m: Memory, sets: int, ways: int) -> None:
    rows = section(m, layout.AT_TAGS, sets, ways * tags.ROW_ARRAYS)
    rows[:, :ways] = tags.EMPTY


def _ports(m: Memory, p: Memory) -> None:
    sms, partitions = int(p[Param.SMS]), int(p[Param.PARTITIONS])
    ports = section(m, layout.AT_PORTS, sms, layout.PORT_COLS)
    for column in (layout.P_HEAD, layout.P_TAIL, layout.P_PAGE):
        ports[:, column] = -1
    ring = m[layout.AT_CREDITS] + np.arange(sms) * _credit_cells(p)
    for column in (layout.P_CRED_FIRST, layout.P_CRED_HEAD, layout.P_CRED_TAIL):
        ports[:, column] = ring
    ports[:, layout.P_CRED_END] = ring + _credit_cells(p)
    # in turn, as block schedulers deal CTAs to GPCs or XCDs
    ports[:, layout.P_PART] = np.arange(sms) % partitions
    ports[:, layout.P_NUMBER] = np.arange(sms)


def _credit_cells(p: Memory) -> int:
    """A port's ring: as many credits as sectors fit under the cap, or one request, and a free place behind them."""
    return (int(p[Param.CAP]) // max(1, int(p[Param.SECTOR])) + 2) * layout.CREDIT_COLS


def _slices(m: Memory, p: Memory) -> None:
    count, partitions = int(p[Param.SLICES]), int(p[Param.PARTITIONS])
    slices = section(m, layout.AT_SLICES, count, layout.SLICE_COLS)
    slices[:, layout.S_STALL_HEAD] = slices[:, layout.S_STALL_TAIL] = -1
    number = np.arange(count)
    slices[:, layout.S_NUMBER] = number
    slices[:, layout.S_PART] = number * partitions // count
    slices[:, layout.S_LINK] = m[layout.AT_LINKS] + slices[:, layout.S_PART]
    slices[:, layout.S_TAGS] = m[layout.AT_TAGS] + number * p[Param.SETS] * p[Param.WAYS] * tags.ROW_ARRAYS


def _channels(m: Memory, p: Memory) -> None:
    """Idle channels with closed rows; refreshes are spread over banks and channels."""
    count, banks, interval = int(p[Param.CHANNELS]), int(p[Param.BANKS]), int(p[Param.REFI])
    chan = section(m, layout.AT_CHANNELS, count, int(p[Param.CHAN_COLS]))
    chan[:, layout.STAGE] = layout.WAKE
    chan[:, layout.TIE] = np.arange(count) - count
    for column in (C_READ_HEAD, C_WRITE_HEAD):
        chan[:, column] = -1
    for column in (C_WAKE, C_EVENT, C_ROW_AT, C_BEST, C_OLDEST, C_OLDEST_WRITE):
        chan[:, column] = NEVER
    for column in (C_ACT_AT, C_SHORT_LAST, C_LONG_LAST, *range(C_FAW, C_FAW + 4)):
        chan[:, column] = LONG_AGO
    between = interval // banks if p[Param.REFRESH] == REFRESH_CODE["per_bank"] else interval
    chan[:, C_REFRESH] = 1 + np.arange(count) * between // count
    chan[:, C_REFRESH_BANK] = np.arange(count) % banks
    handle = m[layout.AT_CHANNELS] + np.arange(count) * p[Param.CHAN_COLS]
    shared = int(p[Param.ROW_SHARERS]) - 1  # 1: channels 2i and 2i + 1 share a row-command bus
    chan[:, C_YOUNGEST], chan[:, C_YOUNGEST_WRITE] = handle + C_OLDEST, handle + C_OLDEST_WRITE
    chan[:, C_PAIR] = handle[np.arange(count) & ~shared]
    chan[:, C_PARTNER] = handle[np.arange(count) ^ shared]
    for bank in range(banks):
        at = OFF_BANK + bank * BANK_COLS
        chan[:, at + B_ROW] = -1
        chan[:, [at + B_FIRST, at + B_FIRST_WRITE]] = NEVER
        chan[:, at + B_GROUP] = bank % p[Param.BANK_GROUPS]
    chan[:, OFF_ENTRIES + E_NEXT :: ENTRY_COLS][:, : entries(p)] = np.arange(1, entries(p) + 1)
    if p[Param.ECC_SHIFT]:
        chan[:, int(p[Param.OFF_ECC]) :][:, :banks] = -1


def _llc_cells(p: Memory) -> int:
    """One channel's share: a server and rows of tags."""
    return 1 + _tlb_cells(p, Param.LLC_SETS, Param.LLC_WAYS)


def _no_keys(shares: Memory, sets: int, ways: int) -> None:
    for row in range(sets):
        shares[:, row * (2 * ways + 1) :][:, :ways] = -1


def _sm_assist_cells(p: Memory) -> int:
    return int(p[Param.SMS]) * _tlb_cells(p, Param.ASSIST_SETS, Param.ASSIST_WAYS)


def _assists(m: Memory, p: Memory, table: FetchTable) -> None:
    """Empty translation caches; the block-table entries of all fetches."""
    m[layout.Q_WALK_HEAD] = m[layout.Q_WALK_TAIL] = -1
    ports = section(m, layout.AT_PORTS, int(p[Param.SMS]), layout.PORT_COLS)
    ports[:, layout.P_X_FETCH] = -1
    if p[Param.ASSIST]:
        sets, ways = int(p[Param.ASSIST_SETS]), int(p[Param.ASSIST_WAYS])
        columns = 2 * ways + 1
        own = section(m, layout.AT_PORT_ASSISTS, len(ports) * sets, columns)
        own[:, :ways] = -1
        ports[:, layout.P_ASSIST] = m[layout.AT_PORT_ASSISTS] + np.arange(len(ports)) * sets * columns
        ways = int(p[Param.SHARED_WAYS])
        section(m, layout.AT_ASSIST, int(p[Param.SHARED_SETS]), 3 * ways + 1)[:, :ways] = -1
    entries = section(m, layout.AT_ENTRIES, len(table.entry_addr), 1)[:, 0]
    entries[:] = table.entry_addr
    entries[table.lists[table.lists > 0] - 1] |= layout.LAST_ENTRY


def _tlb_cells(p: Memory, sets: Param, ways: Param) -> int:
    return int(p[sets] * (2 * p[ways] + 1))


def _tlbs(m: Memory, p: Memory, table: FetchTable) -> None:
    """Empty TLBs at the ports; in the shared one the table's pages: mapped for good, earlier launches used
    them.
    """
    size = _tlb_cells(p, Param.TLB_L1_SETS, Param.TLB_L1_WAYS)
    ways = int(p[Param.TLB_L1_WAYS])
    own = section(m, layout.AT_PORT_TLBS, int(p[Param.SMS] * p[Param.TLB_L1_SETS]), 2 * ways + 1)
    own[:, :ways] = -1
    ports = section(m, layout.AT_PORTS, int(p[Param.SMS]), layout.PORT_COLS)
    ports[:, layout.P_TLB] = m[layout.AT_PORT_TLBS] + np.arange(len(ports)) * size
    sets, ways = int(p[Param.TLB_L2_SETS]), int(p[Param.TLB_L2_WAYS])
    shared = section(m, layout.AT_TLB, sets, 2 * ways + 1)
    shared[:, :ways] = -1
    pages = _pages(table.run_addr, int(p[Param.PAGE_SHIFT]))
    rank = np.argsort(pages % sets, kind="stable")
    of_set = pages[rank] % sets
    nth = np.arange(len(pages)) - np.searchsorted(of_set, of_set)
    fits = nth < ways
    shared[of_set[fits], nth[fits]] = pages[rank][fits]
    m[layout.Q_MAPPED] = fits.all() and _begins_where_others_do(table, pages, int(p[Param.PAGE_SHIFT]))


def _begins_where_others_do(table: FetchTable, pages: Memory, shift: int) -> bool:
    """Whether each page that a run touches is among `pages`, those that runs begin in. A run longer than a page could
    hold others between its first and its last.
    """
    last = _pages(table.run_addr + table.run_bytes - 1, shift)
    return bool(table.run_bytes.max(initial=0) <= 1 << shift and np.isin(last, pages).all())


def _pages(addresses: Memory, shift: int) -> Memory:
    """The different pages of these addresses, in order; a part of them at a time, as sorting takes memory."""
    parts = [np.unique(addresses[at : at + PART_RUNS] >> shift) for at in range(0, len(addresses), PART_RUNS)]
    return np.unique(np.concatenate([np.empty(0, np.int64), *parts]))


def _runs(m: Memory, table: FetchTable) -> None:
    runs = section(m, layout.AT_RUNS, len(table.run_addr), layout.RUN_COLS)
    runs[:, layout.R_ADDR] = table.run_addr
    runs[:, layout.R_BYTES] = table.run_bytes
