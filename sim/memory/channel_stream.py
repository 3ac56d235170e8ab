"""Whole request streams through the device plane's own channels, without SMs, network and L2 in front.

This is how the device plane's scheduler is compared with the exact controller (`sim.memory.dram`) on the same
streams: consecutive accesses of a channel to one row that arrive together are one train. Channels are the
pseudo-channels of the configuration; those of one controller share the row-command bus, and each gets its part of
the controller's queues. Accesses of a channel are handed over in order, any number at once; one that finds its queue
full blocks those behind it.
"""

import math

import numpy as np

from sim.memory import build, events, hbm_ahead, hbm_train, layout
from sim.memory.counters import INDEX
from sim.memory.dram.config import ControllerConfig, parameters
from sim.memory.dram.controller import Counts, check_mapping
from sim.memory.dram.layout import PARAMETERS
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.stream import REQUEST_BYTES, Stream
from sim.memory.fetches import FetchTable
from sim.memory.hbm_claims import NEVER
from sim.memory.jit import compiled, entry
from sim.memory.layout import (
    AVAIL,
    C_EVENT,
    C_READ_ACC,
    C_WRITE_ACC,
    CHUNK_COLS,
    EV_TIME,
    LINK,
    STAGE,
    WAKE,
    Memory,
)
from sim.memory.params import PAGE_CODE, REFRESH_CODE, Param, pitch, set_channel_layout
from sim.memory.pointer import cells
from sim.memory.request import BANK_SHIFT, BYTE, ROW_SHIFT, accesses_of, is_write

CHAN_COLS, DEPTH = int(Param.CHAN_COLS), int(Param.DEPTH)
HORIZON = 1 << 60
NO_CAP = 1 << 40
"""More accesses than any stream has."""
NOTHING = FetchTable(*(np.zeros(n, t) for n, t in ((1, "i8"), (0, "i8"), (0, "i4"), (0, "u1"), (0, "u1"))))


class ChannelStream:
    """A finished run; the attributes are those of `ExactDram` after its run, in ticks of the configuration."""

    def __init__(
        self, config: ControllerConfig, mapping: AddressMapping, stream: Stream, grain: str = "train"
    ) -> None:
        check_mapping(config, mapping)
        self.config = config
        channels = (
            config.pcs << mapping.width("ch")
            if config.pcs > 1
            else 1 << mapping.width("ch") + mapping.width("pc")
        )
        p = channel_params(config, channels, grain)
        access = _accesses(config, mapping, stream)
        first = _train_starts(access, 1 if precharges_each(config) else layout.MAX_TRAIN)
        self.memory = build.grown(build.from_params(p, NOTHING), len(first))
        start = len(self.memory) - len(first) * CHUNK_COLS
        self._trains = self.memory[start:].reshape(len(first), CHUNK_COLS)
        _fill(self._trains, access, first)
        bounds = np.searchsorted(access["channel"][first], np.arange(channels + 1))
        writes = max(1, config.write_queue // config.pcs)
        run(self.memory, start, bounds[:-1].copy(), bounds[1:].copy(), writes)
        self._finish(access, first, stream)

    def _finish(self, access: dict[str, Memory], first: Memory, stream: Stream) -> None:
        """Completion of each request: that of its last access; a posted write's when it was handed over."""
        tick, m = self.config.tick_ps, self.memory
        train = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(access["row"]))))
        after = (self._trains[train, layout.PLACE] & BYTE) - 1 - (np.arange(len(train)) - first[train])
        done = self._trains[train, layout.HBM_DONE] - after * m[Param.PITCH]
        done = np.where(access["wr"] == 1, self._trains[train, AVAIL], done)
        self.done = np.zeros(stream.addr.size, np.int64)
        np.maximum.at(self.done, access["request"], -(-done // tick))
        self.arrival = -(-stream.t_ps // tick)
        self.admitted = self.arrival
        self.taken = np.zeros(stream.addr.size, np.int64)
        np.maximum.at(self.taken, access["request"], self._trains[train, AVAIL] // tick)
        self.last_done = int(self.done.max())
        columns = np.bincount(access["wr"], minlength=2)
        acts, refreshes = int(m[INDEX["activates"]]), int(m[INDEX["refreshes"]])
        self.counts = Counts(acts, acts, refreshes, int(columns[0]), int(columns[1]))


def channel_params(config: ControllerConfig, channels: int, grain: str) -> Memory:
    """Parameter array of a plane that has nothing but these channels."""
    p = np.zeros(len(Param), np.int64)
    ticks = {name: int(value) for name, value in zip(PARAMETERS, parameters(config), strict=True)}
    for key, name in (
        *(
            (Param.RCD, "rcd_rd"),
            (Param.RCD_WR, "rcd_wr"),
            (Param.RP, "rp"),
            (Param.RAS, "ras"),
            (Param.RC, "rc"),
        ),
        *((Param.RTP, "rtp"), (Param.WR_PRE, "wr_pre"), (Param.RTW, "rtw"), (Param.WTR_S, "wtr_s")),
        *((Param.WTR_L, "wtr_l"), (Param.RRD_S, "rrd_s"), (Param.RRD_L, "rrd_l"), (Param.FAW, "faw")),
        *((Param.BURST, "ccd_s"), (Param.CCD_L, "ccd_l"), (Param.REFI, "refi"), (Param.ACT_BUS, "act_bus")),
    ):
        p[key] = ticks[name] * config.tick_ps
    p[Param.PITCH] = pitch(int(p[Param.BURST]), int(p[Param.CCD_L]))
    p[Param.CL], p[Param.CWL] = config.cl * config.tick_ps, config.cwl * config.tick_ps
    p[Param.PRE_BUS] = config.tick_ps if p[Param.ACT_BUS] else 0
    p[Param.RFC] = (config.rfcpb if config.refresh.startswith("per_bank") else config.rfc) * config.tick_ps
    p[Param.REFRESH] = REFRESH_CODE[config.refresh.removesuffix("_sets")]
    p[Param.TRAINS] = int(grain == "train")
    p[Param.PAGE] = hbm_train.AUTO_PRECHARGE if precharges_each(config) else PAGE_CODE[config.page]
    p[Param.HIT_CAP] = config.hit_cap if config.policy == "bank_queues" else config.starvation_cap or NO_CAP
    p[Param.CHANNELS], p[Param.ROW_SHARERS] = channels, config.pcs
    p[Param.BANKS], p[Param.BANK_GROUPS] = config.banks_per_pc, config.sids * config.bank_groups
    held = config.banks * config.bank_queue if config.policy == "bank_queues" else 0
    p[Param.DEPTH] = max(1, (config.read_queue + held) // config.pcs)
    p[Param.DRAIN_HIGH] = max(1, math.floor(config.write_high * config.write_queue / config.pcs))
    p[Param.DRAIN_LOW] = math.ceil(config.write_low * config.write_queue / config.pcs)
    p[Param.SMS] = p[Param.SLICES] = 0
    set_channel_layout(p)
    return p


def precharges_each(config: ControllerConfig) -> bool:
    """Whether a row closes after every access, as the closed page policy of the bank-queue controller has it."""
    return config.policy == "bank_queues" and config.page == "closed"


def _accesses(config: ControllerConfig, mapping: AddressMapping, stream: Stream) -> dict[str, Memory]:
    """Every access of the stream by channel, in the stream's order within it."""
    split = REQUEST_BYTES // config.access_bytes
    request = np.repeat(np.arange(stream.addr.size), split)
    f = mapping.decode(
        stream.addr[request] + config.access_bytes * np.tile(np.arange(split), stream.addr.size)
    )
    groups = config.sids * config.bank_groups
    out = {
        "channel": f["ch"] << mapping.width("pc") | f["pc"],
        "bank": f["ba"] * groups + f["si"] * config.bank_groups + f["bg"],
        "row": f["ro"],
        "wr": stream.wr[request].astype(np.int64),
        "time": -(-stream.t_ps[request] // config.tick_ps) * config.tick_ps,
        "request": request,
    }
    order = np.argsort(out["channel"], kind="stable")
    return {name: values[order] for name, values in out.items()}


def _train_starts(access: dict[str, Memory], longest: int) -> Memory:
    """Index of each train's first access: another channel, bank, row, direction or arrival than the one before, or
    as many accesses as a train has at most.
    """
    new = np.zeros(len(access["row"]), np.bool_)
    new[:1] = True
    for name in ("channel", "bank", "row", "wr", "time"):
        new[1:] |= access[name][1:] != access[name][:-1]
    first = np.flatnonzero(new)
    within = np.arange(len(new)) - np.repeat(first, np.diff(np.append(first, len(new))))
    return np.flatnonzero(within % longest == 0)


def _fill(trains: Memory, access: dict[str, Memory], first: Memory) -> None:
    accesses = np.diff(np.append(first, len(access["row"])))
    trains[:, layout.PLACE] = (
        access["row"][first] << ROW_SHIFT | access["bank"][first] << BANK_SHIFT | accesses
    )
    trains[:, layout.WHAT] = access["wr"][first]  # of no bytes
    trains[:, AVAIL] = access["time"][first]
    trains[:, layout.TIE] = np.arange(len(first))


@entry
def run(memory: Memory, start: int, cursor: Memory, end: Memory, writes: int) -> None:
    """Hand each channel its trains, number `cursor` to `end` of those that lie from `start` on, and serve them.
    `writes`: accesses that a channel's write queue takes.
    """
    m = cells(memory)
    for i in range(len(cursor)):
        cursor[i] = feed(m, m[layout.AT_CHANNELS] + i * m[CHAN_COLS], start, cursor[i], end[i], writes, 0)
    while True:
        node = events.pop(m, HORIZON)
        if node < 0:
            return
        if m[node + STAGE] == WAKE:
            serve(m, node, m[node + EV_TIME], start, cursor, end, writes)


@compiled
def serve(m: Memory, pair: int, now: int, start: int, cursor: Memory, end: Memory, writes: int) -> None:
    """Look at the channels of a pair that are due; each then gets further trains, for which it is looked at again. So
    no channel is taken ahead here.
    """
    m[pair + C_EVENT] = NEVER
    c = hbm_ahead.due(m, pair, now + 1)
    while c >= 0:
        hbm_train.look(m, c, now)
        i = (c - m[layout.AT_CHANNELS]) // m[CHAN_COLS]
        cursor[i] = feed(m, c, start, cursor[i], end[i], writes, now)
        c = hbm_ahead.due(m, pair, now + 1)
    hbm_ahead.sleep(m, pair)


@compiled
def feed(m: Memory, c: int, start: int, at: int, end: int, writes: int, now: int) -> int:
    """Hand over trains of channel c, also such as arrive later, until the queue of the next one's direction is full;
    returns that one's number.
    """
    room_to_read = m[DEPTH] - accesses_held(m, c + C_READ_ACC)
    room_to_write = writes - accesses_held(m, c + C_WRITE_ACC)
    while at < end:
        node = start + at * CHUNK_COLS
        if (room_to_write if is_write(m, node) else room_to_read) <= 0:
            break
        if is_write(m, node):
            room_to_write -= accesses_of(m, node)
        else:
            room_to_read -= accesses_of(m, node)
        m[node + AVAIL] = max(m[node + AVAIL], now)
        hbm_ahead.enqueue(m, node, c, now)
        at += 1
    return at


@compiled
def accesses_held(m: Memory, counter: int) -> int:
    """Accesses of one direction that a channel's scheduler sees or that wait to be seen (`hbm_train.admit`)."""
    count = m[counter]
    node = m[counter + 1]
    while node >= 0:
        count += accesses_of(m, node)
        node = m[node + LINK]
    return int(count)
