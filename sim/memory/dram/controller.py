"""The exact DRAM controller: every access of a request stream through the compiled event loop.

`ExactDram` holds the arrays; `run` advances to a horizon and may be called again, with the same result to the
bit as one long run.
"""

from dataclasses import dataclass

import numpy as np

from sim.errors import InputError
from sim.memory.dram.config import ControllerConfig, parameters
from sim.memory.dram.layout import (
    A_BANK,
    A_LINK,
    A_REQ,
    A_ROW,
    A_STRIDE,
    A_TAG,
    A_WR,
    B_ACTIVE,
    B_COUNT,
    B_HEAD,
    B_OPEN,
    BANK0,
    BANK_STRIDE,
    C_FAW,
    CHANNEL0,
    E_ACC,
    E_NEXT,
    E_STRIDE,
    G_ADMITTED_AT,
    G_CHANNELS_END,
    G_COUNT,
    G_END,
    G_FINISHED,
    G_LAST_DONE,
    G_LOG_AT,
    G_LOG_END,
    G_NEXT,
    G_NEXT_CHANNEL,
    G_RETIRED,
    G_SPLIT,
    G_STEPS,
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
    H_WAKE,
    H_WQ_HEAD,
    H_WQ_TAIL,
    INF,
    LB_COL,
    LB_ROW,
    LOG_STRIDE,
    MAX_BANK,
    MAX_PC,
    NO_REFRESH,
    P_REFI,
    P_REFIPB,
    P_REFRESH,
    PARAMETERS,
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
    SOONEST0,
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

    Ticks are those of the configuration; `log_commands` bounds the command log (0: none). Raises InputError
    if the mapping addresses more than the device has.
    """

    def __init__(
        self,
        config: ControllerConfig,
        mapping: AddressMapping,
        stream: Stream,
        window: int,
        log_commands: int = 0,
    ) -> None:
        check_mapping(config, mapping)
        self.config = config
        self.memory = _build(config, mapping, stream, log_commands)
        self.memory[G_WINDOW] = window

    def run(self, horizon: int) -> None:
        """Simulate every event before tick `horizon`."""
        step = run_bank_queues if self.config.policy == "bank_queues" else run_frfcfs
        step(self.memory, horizon)

    def run_to_end(self, tail: int = 0) -> None:
        """Until every request has completed, and `tail` ticks more (posted writes, refreshes)."""
        self.memory[G_TO_END] = 1
        self.run(NEVER)
        self.memory[G_TO_END] = 0
        self.run(self.last_done + tail + 1)

    def _requests(self, field: int) -> IntArray:
        end = int(self.memory[G_END])
        start = end - R_STRIDE * int(self.memory[G_COUNT])
        return self.memory[start + field : end : R_STRIDE]

    @property
    def finished(self) -> int:
        return int(self.memory[G_FINISHED])

    @property
    def last_done(self) -> int:
        """Tick of the last completion known so far."""
        return int(self.memory[G_LAST_DONE])

    @property
    def arrival(self) -> IntArray:
        """Arrival tick of each request: the first tick at or after its arrival time."""
        return self._requests(R_ARRIVE)

    @property
    def admitted(self) -> IntArray:
        return self._requests(R_ADMIT)

    @property
    def taken(self) -> IntArray:
        """Tick at which the controller took the last access of each request."""
        return self._requests(R_TAKEN)

    @property
    def done(self) -> IntArray:
        """Completion tick of each request."""
        return self._requests(R_DONE)

    @property
    def counts(self) -> Counts:
        channels = _channels(self.memory)
        total = channels.sum(axis=0)
        return Counts(*(int(total[h]) for h in (H_N_ACT, H_N_PRE, H_N_REF, H_N_RD, H_N_WR)))

    @property
    def steps(self) -> int:
        """Channel steps taken by the event loop."""
        return int(self.memory[G_STEPS])

    def commands(self) -> IntArray:
        """The command log: rows of (tick, channel, command, bank or pseudo-channel, row)."""
        if self.memory[G_LOG_END] == 0:
            return np.zeros((0, LOG_STRIDE), dtype=np.int64)
        start = int(self.memory[G_END] + self.memory[G_COUNT] * self.memory[G_SPLIT] * (A_STRIDE + 1))
        log = self.memory[start : int(self.memory[G_LOG_AT])].reshape(-1, LOG_STRIDE).copy()
        log[:, 1] = (log[:, 1] - CHANNEL0) // self.memory[G_WIDTH]
        return log


def _channels(memory: IntArray) -> IntArray:
    return memory[CHANNEL0 : int(memory[G_CHANNELS_END])].reshape(-1, int(memory[G_WIDTH]))


def _build(config: ControllerConfig, mapping: AddressMapping, stream: Stream, log_commands: int) -> IntArray:
    """The array S: parameters, shared words, channels, requests, accesses, their channels, command log."""
    n = stream.addr.size
    split = REQUEST_BYTES // config.access_bytes
    channels = 1 << _channel_bits(config, mapping)
    width = -(-(POOL0 + E_STRIDE * config.entries) // 8) * 8
    requests = CHANNEL0 + channels * width
    accesses = requests + R_STRIDE * n
    channel_list = accesses + A_STRIDE * n * split
    log = channel_list + n * split
    s = np.zeros(log + LOG_STRIDE * log_commands, dtype=np.int64)
    s[: len(PARAMETERS)] = parameters(config)
    s[G_NEXT], s[G_END], s[G_COUNT], s[G_SPLIT] = requests, accesses, n, split
    s[G_CHANNELS_END], s[G_WIDTH], s[G_NEXT_CHANNEL] = requests, width, channel_list
    s[G_RETIRED] = s[G_ADMITTED_AT] = -1
    s[G_LOG_AT], s[G_LOG_END] = log, (s.size if log_commands else 0)
    _fill_channels(s, config)
    table = s[requests:accesses].reshape(n, R_STRIDE)
    table[:, R_ARRIVE] = -(-stream.t_ps // config.tick_ps)
    table[:, R_LEFT] = split
    table[:, R_DONE] = -1
    _fill_accesses(s, stream, config, mapping, accesses)
    return s


def check_mapping(config: ControllerConfig, mapping: AddressMapping) -> None:
    """Raises InputError if `mapping` addresses more than the device of `config` has."""
    sizes = {"bg": config.bank_groups, "ba": config.banks_per_group, "si": config.sids}
    if config.pcs > 1:
        sizes["pc"] = config.pcs
    problems = [
        f"mapping: {field}: found {mapping.width(field)} bits; the device has {size}"
        for field, size in sizes.items()
        if 1 << mapping.width(field) > size
    ]
    if 1 << mapping.width("of") != config.access_bytes:
        problems.append(
            f"mapping: of: found {mapping.width('of')} bits; an access has {config.access_bytes} bytes"
        )
    if problems:
        raise InputError(*problems)


def _channel_bits(config: ControllerConfig, mapping: AddressMapping) -> int:
    """A controller that schedules one pseudo-channel sees each as a channel of its own."""
    return mapping.width("ch") + (mapping.width("pc") if config.pcs == 1 else 0)


def _fill_channels(s: IntArray, config: ControllerConfig) -> None:
    channels = _channels(s)
    for h in (H_RQ_HEAD, H_RQ_TAIL, H_WQ_HEAD, H_WQ_TAIL, H_PAIR_AT):
        channels[:, h] = -1
    channels[:, H_REFRESH_AT] = s[P_REFIPB] if s[P_REFRESH] >= PER_BANK else s[P_REFI]
    channels[:, H_WAKE] = INF if s[P_REFRESH] == NO_REFRESH else channels[:, H_REFRESH_AT]
    channels[:, LB_COL:LB_ROW] = INF
    channels[:, SOONEST0:PC0] = INF
    for p in range(MAX_PC):
        first = PC0 + PC_STRIDE * p + C_FAW
        channels[:, first : first + 4] = -INF
    banks = channels[:, BANK0 : BANK0 + BANK_STRIDE * MAX_BANK].reshape(-1, MAX_BANK, BANK_STRIDE)
    banks[:, :, [B_OPEN, B_ACTIVE, *range(B_HEAD, B_COUNT)]] = -1
    channels[:, BANK0 : BANK0 + BANK_STRIDE * MAX_BANK] = banks.reshape(channels.shape[0], -1)
    for c in range(channels.shape[0]):
        first = CHANNEL0 + c * channels.shape[1] + POOL0
        pool = s[first : first + E_STRIDE * config.entries].reshape(config.entries, E_STRIDE)
        pool[:, E_ACC] = -1
        pool[:, E_NEXT] = first + E_STRIDE * np.arange(1, config.entries + 1)
        pool[-1, E_NEXT] = -1
        channels[c, H_FREE] = first


def _fill_accesses(
    s: IntArray, stream: Stream, config: ControllerConfig, mapping: AddressMapping, start: int
) -> None:
    """Accesses grouped by channel, in stream order within it; then the channel of each in stream order."""
    n, split = stream.addr.size, int(s[G_SPLIT])
    request = np.repeat(np.arange(n, dtype=np.int64), split)
    addr = stream.addr[request] + config.access_bytes * np.tile(np.arange(split), n)
    f = mapping.decode(addr)
    pc = f["pc"] if config.pcs > 1 else np.zeros_like(addr)
    channel = f["ch"] if config.pcs > 1 else f["ch"] << mapping.width("pc") | f["pc"]
    bank = ((pc * config.sids + f["si"]) * config.bank_groups + f["bg"]) * config.banks_per_group + f["ba"]
    order = np.argsort(channel, kind="stable")
    end = start + A_STRIDE * addr.size
    table = s[start:end].reshape(addr.size, A_STRIDE)
    table[:, A_BANK] = bank[order]
    table[:, A_ROW] = f["ro"][order]
    table[:, A_REQ] = s[G_NEXT] + R_STRIDE * request[order]
    table[:, A_WR] = stream.wr[request][order]
    table[:, A_TAG] = addr[order] // config.access_bytes
    table[:, A_LINK] = -1
    s[end : end + addr.size] = CHANNEL0 + channel * s[G_WIDTH]
    channels = _channels(s)
    first = start + A_STRIDE * np.searchsorted(channel[order], np.arange(channels.shape[0]))
    channels[:, H_FIFO] = first
    channels[:, H_FIFO_END] = first
