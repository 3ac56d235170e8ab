"""Queues of the channels of memory at tile grain, each by itself.

One queue for all channels tells the mean wait. A read of few bytes, as a CTA's look-up in its block table, waits at one
channel, whose queue may be empty or twice the mean; with one queue all look-ups that come while a burst of blocks is
served end with it, at one instant, and their CTAs ask for the next burst in step: a convoy that no random delay of the
blocks breaks up. So where CTAs wait for look-ups as they copy, each block takes its turn at the channel that it lies on.
"""

from sim.coarse import columns as c
from sim.coarse.jit import inlined
from sim.coarse.shares import ONE
from sim.coarse.slices import PLACES
from sim.coarse.state import P_LEFT, Grid, State
from sim.coarse.units import SM_COLS
from sim.memory.mapping import mix


@inlined
def pass_channel(s: State, channel: int, at: int, cost: int) -> int:
    """Serve a block that comes at `at`; when it is through."""
    s.channels[channel] = max(at, s.channels[channel]) + cost
    return int(s.channels[channel])


@inlined
def at_channels(
    d: Grid, s: State, sm: int, part: int, tile: int, on_bus: int, arrival: int, sending: int
) -> tuple[int, int]:
    """(mean, latest) of when the blocks of a port's next segment have passed their channels: one after the other they come until
    `arrival`, and take the bus for `on_bus` bytes together."""
    p, k = d.p, d.tile_class[tile] * c.CLASS_COLS
    left, size, blocks = s.sms[sm * SM_COLS + P_LEFT], d.classes[k + c.BYTES], d.classes[k + c.BLOCKS]
    begin = blocks * max(0, size - left) // size
    end = blocks * max(0, size - left + part) // size
    if end <= begin:
        return arrival, arrival
    channels = p[c.CHANNELS]
    cost = (((on_bus // (end - begin)) * p[c.HBM_Q16]) >> 16) * channels
    gap = sending // (end - begin)
    first, turn = d.slices_of[d.objects[tile]], 0
    if first < 0:
        round_ = d.objects[tile] // channels
        first = round_ % PLACES * p[c.LISTED] + d.classes[k + c.FIRST_BLOCK]
        turn = ((d.objects[tile] - round_ * channels) * p[c.CHANNEL_STEP] + mix(round_)) % channels
    latest, total, at = arrival, 0, arrival - sending
    for block in range(first + begin, first + end):
        at += gap
        channel = d.channels[block] + turn
        channel = channel if channel < channels else channel - channels
        through = pass_channel(s, channel, at, cost)
        total += through - arrival
        latest = max(latest, through)
    return int(arrival + max(0, total // (end - begin))), int(latest)


@inlined
def line_wait(d: Grid, s: State, line: int, at: int, found: int) -> int:
    """How long a look-up that comes at `at` takes at the channel of its line of the block table, which L2 has to a
    share of `found`."""
    p = d.p
    channel = mix(line) % p[c.CHANNELS]
    missing = (p[c.LINE_BYTES] * (ONE - found)) >> 16
    return int(pass_channel(s, channel, at, ((missing * p[c.HBM_Q16]) >> 16) * p[c.CHANNELS]) - at)
