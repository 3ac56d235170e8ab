"""When channels of device memory are looked at: trains on their way there, and the events of channels.

What L2 sends takes CTRL_IN to arrive. So one event takes a channel, together with the one that shares its row-command
bus, so far ahead of all others, through several looks: nothing that is not yet on its way can arrive before.
"""

from sim.memory import events, hbm_train
from sim.memory.hbm_claims import NEVER
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    AVAIL,
    C_EVENT,
    C_LATEST,
    C_PAIR,
    C_PARTNER,
    C_READ_HEAD,
    C_SEEN,
    C_WAKE,
    C_WRITE_HEAD,
    L2_DONE,
    LINK,
    Memory,
)
from sim.memory.loads_ahead import ask_for_queue
from sim.memory.params import Param
from sim.memory.request import is_write

CTRL_IN, DEPTH = int(Param.CTRL_IN), int(Param.DEPTH)


@inlined
def enqueue(m: Memory, node: int, c: int, now: int) -> None:
    """A train is on its way to channel c, where it arrives at AVAIL; behind others it changes nothing yet."""
    m[node + LINK] = -1
    head = c + C_WRITE_HEAD
    if not is_write(m, node):
        head = c + C_READ_HEAD
        keep_order(m, node, c)
    if m[head] >= 0:
        m[m[head + 1] + LINK] = node
        m[head + 1] = node
        return
    m[head] = node
    m[head + 1] = node
    if m[c + C_SEEN] > now and m[head - 1] >= m[DEPTH]:
        return  # taken ahead of this arrival, the channel has already seen that its queue is full
    if m[c + C_WAKE] > m[node + AVAIL]:
        hbm_train.set_wake(m, c, m[node + AVAIL], max(now, m[c + C_SEEN]))
        sleep(m, m[c + C_PAIR])


@inlined
def keep_order(m: Memory, node: int, c: int) -> None:
    """A channel takes reads in the order in which slices look up: who is behind one of a slice that lags waits for that
    slice and not for memory. No time changes: it cannot enter before that one.
    """
    late = m[c + C_LATEST] - m[node + AVAIL]
    if late > 0:
        m[node + L2_DONE] += late
        m[node + AVAIL] += late
    else:
        m[c + C_LATEST] = m[node + AVAIL]


@compiled
def run(m: Memory, pair: int, now: int) -> None:
    """Take the channels of a row-command bus, whose event is due now, as far ahead as their arrivals are known."""
    until = now + min(max(1, m[CTRL_IN]), hbm_train.MAX_SLEEP_PS)
    m[pair + C_EVENT] = NEVER
    if m[pair + C_PARTNER] != pair:
        ask_for_queue(m, m[pair + C_PARTNER])
    c = due(m, pair, until)
    while c >= 0:
        hbm_train.look(m, c, m[c + C_WAKE])
        c = due(m, pair, until)
    sleep(m, pair)


@inlined
def due(m: Memory, pair: int, until: int) -> int:
    """The channel of a pair to be looked at next, if that is before `until`; -1: none."""
    c = m[pair + C_PARTNER]
    if m[pair + C_WAKE] <= m[c + C_WAKE]:
        c = pair
    return int(c) if m[c + C_WAKE] < until else -1


@inlined
def sleep(m: Memory, pair: int) -> None:
    """Queue the event of a pair of channels for the next look at one of them."""
    time = min(m[pair + C_WAKE], m[m[pair + C_PARTNER] + C_WAKE])
    if m[pair + C_EVENT] == time:
        return
    if m[pair + C_EVENT] < NEVER:
        events.remove(m, pair)
    m[pair + C_EVENT] = time
    if time < NEVER:
        events.push(m, pair, time)
