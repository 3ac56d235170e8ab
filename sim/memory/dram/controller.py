"""The exact DRAM controller: every access of a request stream through the compiled event loop.

`ExactDram` holds the arrays; `run` advances to a horizon and may be called again, with the same result to the
bit as one long run.
"""

from dataclasses import dataclass

import numpy as np

from sim.memory.dram.config import ControllerConfig, parameters
from sim.memory.dram.layout import (
    A_BANK,
    A_LINK,
    A_REQ,
    A_ROW,
    A_STRIDE,
    A_TAG,
    A_WR,
    ALL_BANK,
    B_ACTIVE,
    B_HEAD,
    B_OPEN,
    BANK0,
    BANK_STRIDE,
    C_FAW,
    E_ACC,
    E_NEXT,
    E_STRIDE,
    G_ADMITTED_AT,
    G_CHANNELS,
    G_COUNT,
    G_FINISHED,
    G_LAST_DONE,
    G_LOG,
    G_RETIRED,
    G_SIZE,
    G_SPLIT,
    G_TO_END,
    G_WIDTH,
    G_WINDOW,
    H_FIFO,
    H_FIFO_END,
    H_FREE,
    H_N_ACT,
    H_N_PRE,
    H_N_RD,
    H_N_REF,
    H_N_WR,
    H_PAIR_AT,
    H_REFRESH_AT,
    H_RQ_HEAD,
    H_RQ_TAIL,
    H_WQ_HEAD,
    H_WQ_TAIL,
    INF,
    LB_COL,
    LIST0,
    MAX_BANK,
    MAX_PC,
    NO_REFRESH,
    P_REFI,
    P_REFIPB,
    P_REFRESH,
    PC0,
    PC_STRIDE,
    PER_BANK,
    POOL0,
    R_ADMIT,
    R_ARRIVE,
    R_DONE,
    R_LEFT,
    R_STRIDE,
    R_TAKEN,
    R_UNTAKEN,
    IntArray,
)
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.source import run_bank_queues, run_frfcfs
from sim.memory.dram.stream import REQUEST_BYTES, Stream

NEVER = 1 << 59


@dataclass(frozen=True, slots=True)
class Counts:
    """Commands issued so far, all channels together."""

    activates: int
    precharges: int
    refreshes: int
    reads: int
    writes: int


class ExactDram:
    """All channels of one memory, fed by one stream under a window (0: unlimited).

    Ticks are those of the configuration. `log_commands` bounds the command log (0: none).
    """

    def __init__(
        self,
        config: ControllerConfig,
        mapping: AddressMapping,
        stream: Stream,
        window: int,
        log_commands: int = 0,
    ) -> None:
        self.config = config
        channels = 1 << _channel_bits(config, mapping)
        self.params = parameters(config)
        self.state = _initial_state(config, channels, self.params)
        self.requests = _requests(stream, config)
        self.accesses, self.channel_of = _accesses(stream, config, mapping, channels, self.state)
        self.wake = np.full(channels, INF, dtype=np.int64)
        refresh = self.params[P_REFRESH]
        if refresh != NO_REFRESH:
            self.wake[:] = self.params[P_REFI] if refresh == ALL_BANK else self.params[P_REFIPB]
        self.log = np.zeros(5 * log_commands, dtype=np.int64)
        self.shared = np.zeros(G_SIZE, dtype=np.int64)
        self.shared[G_COUNT] = stream.addr.size
        self.shared[G_WINDOW] = window
        self.shared[G_RETIRED] = -1
        self.shared[G_ADMITTED_AT] = -1
        self.shared[G_CHANNELS] = channels
        self.shared[G_WIDTH] = self.state.shape[1]
        self.shared[G_SPLIT] = REQUEST_BYTES // config.access_bytes

    def run(self, horizon: int) -> None:
        """Simulate every event before tick `horizon`."""
        step = run_bank_queues if self.config.policy == "bank_queues" else run_frfcfs
        step(
            self.state.reshape(-1),
            self.params,
            self.accesses,
            self.requests.reshape(-1),
            self.channel_of,
            self.wake,
            self.shared,
            self.log,
            horizon,
        )

    def run_to_end(self, tail: int = 0) -> None:
        """Until every request has completed, and `tail` ticks more (posted writes, refreshes)."""
        self.shared[G_TO_END] = 1
        self.run(NEVER)
        self.shared[G_TO_END] = 0
        self.run(self.last_done + tail + 1)

    @property
    def finished(self) -> int:
        return int(self.shared[G_FINISHED])

    @property
    def last_done(self) -> int:
        """Tick of the last completion known so far."""
        return int(self.shared[G_LAST_DONE])

    @property
    def arrival(self) -> IntArray:
        """Arrival tick of each request: the first tick at or after its arrival time."""
        return self.requests[:, R_ARRIVE]

    @property
    def admitted(self) -> IntArray:
        return self.requests[:, R_ADMIT]

    @property
    def taken(self) -> IntArray:
        """Tick at which the controller took the last access of each request."""
        return self.requests[:, R_TAKEN]

    @property
    def done(self) -> IntArray:
        """Completion tick of each request."""
        return self.requests[:, R_DONE]

    @property
    def counts(self) -> Counts:
        total = self.state.sum(axis=0)
        return Counts(*(int(total[h]) for h in (H_N_ACT, H_N_PRE, H_N_REF, H_N_RD, H_N_WR)))

    def commands(self) -> IntArray:
        """The command log: rows of (tick, channel, command, bank or pseudo-channel, row)."""
        n = int(self.shared[G_LOG])
        log = self.log[: 5 * n].reshape(n, 5).copy()
        log[:, 1] //= self.state.shape[1]
        return log


def _channel_bits(config: ControllerConfig, mapping: AddressMapping) -> int:
    """A controller that schedules one pseudo-channel sees each as a channel of its own."""
    return mapping.width("ch") + (mapping.width("pc") if config.pcs == 1 else 0)


def _initial_state(config: ControllerConfig, channels: int, params: IntArray) -> IntArray:
    width = POOL0 + E_STRIDE * config.entries
    width = -(-width // 8) * 8
    row = np.zeros(width, dtype=np.int64)
    for h in (H_RQ_HEAD, H_RQ_TAIL, H_WQ_HEAD, H_WQ_TAIL, H_PAIR_AT):
        row[h] = -1
    row[H_REFRESH_AT] = params[P_REFIPB] if params[P_REFRESH] >= PER_BANK else params[P_REFI]
    row[LB_COL:LIST0] = INF
    for p in range(MAX_PC):
        row[PC0 + PC_STRIDE * p + C_FAW :][:4] = -INF
    banks = row[BANK0 : BANK0 + BANK_STRIDE * MAX_BANK].reshape(MAX_BANK, BANK_STRIDE)
    banks[:, B_OPEN] = -1
    banks[:, B_ACTIVE] = -1
    banks[:, B_HEAD : B_HEAD + 6] = -1
    entries = row[POOL0 : POOL0 + E_STRIDE * config.entries].reshape(config.entries, E_STRIDE)
    entries[:, E_ACC] = -1
    state = np.tile(row, (channels, 1))
    for c in range(channels):
        first = c * width + POOL0
        pool = state[c, POOL0 : POOL0 + E_STRIDE * config.entries].reshape(config.entries, E_STRIDE)
        pool[:, E_NEXT] = first + E_STRIDE * np.arange(1, config.entries + 1)
        pool[-1, E_NEXT] = -1
        state[c, H_FREE] = first
    return state


def _requests(stream: Stream, config: ControllerConfig) -> IntArray:
    out = np.zeros((stream.addr.size, R_STRIDE), dtype=np.int64)
    out[:, R_ARRIVE] = -(-stream.t_ps // config.tick_ps)
    out[:, R_LEFT] = REQUEST_BYTES // config.access_bytes
    out[:, R_UNTAKEN] = out[:, R_LEFT]
    out[:, R_DONE] = -1
    return out


def _accesses(
    stream: Stream, config: ControllerConfig, mapping: AddressMapping, channels: int, state: IntArray
) -> tuple[IntArray, IntArray]:
    """Accesses grouped by channel, each channel's in stream order; and the channel of every access."""
    split = REQUEST_BYTES // config.access_bytes
    request = np.repeat(np.arange(stream.addr.size, dtype=np.int64), split)
    addr = stream.addr[request] + config.access_bytes * np.tile(np.arange(split), stream.addr.size)
    f = mapping.decode(addr)
    pc = f["pc"] if config.pcs > 1 else np.zeros_like(addr)
    channel = f["ch"] if config.pcs > 1 else f["ch"] << mapping.width("pc") | f["pc"]
    bank = ((pc * config.sids + f["si"]) * config.bank_groups + f["bg"]) * config.banks_per_group + f["ba"]
    order = np.argsort(channel, kind="stable")
    out = np.zeros((addr.size, A_STRIDE), dtype=np.int64)
    out[:, A_BANK] = bank[order]
    out[:, A_ROW] = f["ro"][order]
    out[:, A_REQ] = request[order]
    out[:, A_WR] = stream.wr[request][order]
    out[:, A_TAG] = addr[order] // config.access_bytes
    out[:, A_LINK] = -1
    start = np.searchsorted(channel[order], np.arange(channels))
    state[:, H_FIFO] = start
    state[:, H_FIFO_END] = start
    return out.reshape(-1), channel
