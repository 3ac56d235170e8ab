"""Short buckets of simulated time, in a ring, which hold what is queued ahead.

A bucket has places for a few events, each one cell: picoseconds into the bucket, and the row. So the rows themselves,
ten megabytes of them, are not touched when others are queued beside them. Where more share a bucket it is crowded:
its last place begins a chain through the rows.
"""

from sim.memory import event_chain
from sim.memory.bits import trailing_zeros
from sim.memory.jit import compiled, inlined
from sim.memory.layout import AT_PLACES, AT_WORDS, EV_TIME, LINK, Q_COUNT, Memory

SHIFT = 5
"""A bucket is 32 ps long, and all of them half a microsecond: more than most events lie ahead."""
BUCKETS = 1 << 14
PLACES = 4
CROWDED = PLACES + 1
"""Count of a bucket that has more events than places."""
COUNT_SHIFT, WORD_SHIFT = 2, 4
"""The count of a bucket's events has 4 bits, and 16 counts share a word: none reaches the sign."""
COUNT, IN_WORD, IN_BUCKET = 15, (1 << WORD_SHIFT) - 1, (1 << SHIFT) - 1
TIME_SHIFT = 32
ROW = (1 << TIME_SHIFT) - 1


@inlined
def counts_of(m: Memory, number: int) -> tuple[int, int]:
    """Cell that holds the count of bucket `number`, and its position there."""
    bucket = number & (BUCKETS - 1)
    return int(m[AT_WORDS] + (bucket >> WORD_SHIFT)), int((bucket & IN_WORD) << COUNT_SHIFT)


@inlined
def count_of(m: Memory, number: int) -> int:
    """Events of bucket `number`, or CROWDED."""
    word, shift = counts_of(m, number)
    return int((m[word] >> shift) & COUNT)


@inlined
def recount(m: Memory, number: int, change: int) -> None:
    word, shift = counts_of(m, number)
    m[word] += change << shift


@inlined
def places_of(m: Memory, number: int) -> int:
    """First place of bucket `number`."""
    return int(m[AT_PLACES] + (number & (BUCKETS - 1)) * PLACES)


@inlined
def event(node: int, time: int) -> int:
    """What a place holds of an event."""
    return (time & IN_BUCKET) << TIME_SHIFT | node


@inlined
def occupied(m: Memory, number: int, limit: int) -> int:
    """The first bucket of [number, limit) that holds an event, `limit` when there is none."""
    while number < limit:
        word, shift = counts_of(m, number)
        counts = m[word] >> shift
        if counts:
            return int(min(number + (trailing_zeros(counts) >> COUNT_SHIFT), limit))
        number = (number | IN_WORD) + 1
    return limit


@inlined
def following(m: Memory, number: int, counts: int, limit: int) -> int:
    """The same behind a bucket, number - 1, whose count and those of what follows it in its word are `counts`."""
    counts >>= 1 << COUNT_SHIFT
    if counts:
        return int(min(number + (trailing_zeros(counts) >> COUNT_SHIFT), limit))
    return occupied(m, ((number - 1) | IN_WORD) + 1, limit)


@inlined
def add(m: Memory, node: int, number: int, time: int) -> None:
    """Queue a row in its bucket."""
    word, shift = counts_of(m, number)
    count = (m[word] >> shift) & COUNT
    m[Q_COUNT] += 1
    if count < PLACES:
        m[word] += 1 << shift
        m[places_of(m, number) + count] = event(node, time)
    else:
        join(m, node, number, count)


@compiled
def join(m: Memory, node: int, number: int, count: int) -> None:
    """The same where all places are taken: the chain begins with what was queued last."""
    place = places_of(m, number) + PLACES - 1
    before = m[place] & ROW
    if count == PLACES:
        m[before + LINK] = -1
        recount(m, number, 1)
    m[node + LINK] = before
    m[place] = event(node, m[node + EV_TIME])


@inlined
def chained(m: Memory, number: int) -> int:
    """Of a crowded bucket: the first event without a place, which follows that of the last place in the chain."""
    return int(m[(m[places_of(m, number) + PLACES - 1] & ROW) + LINK])


@compiled
def is_large(m: Memory, number: int) -> bool:
    """Whether more than PLACES events of a crowded bucket have no place."""
    node = chained(m, number)
    for _ in range(PLACES):
        node = m[node + LINK]
        if node < 0:
            return False
    return True


@compiled
def crowd(m: Memory, number: int) -> int:
    """All events of a crowded bucket as a chain in order; returns the first."""
    places = places_of(m, number)
    first = m[places + PLACES - 1] & ROW
    for place in range(places, places + PLACES - 1):
        node = m[place] & ROW
        m[node + LINK] = first
        first = node
    return event_chain.arranged(m, first)


@compiled
def first_time(m: Memory, number: int) -> int:
    """Time of the first event of a bucket, which holds one."""
    count = count_of(m, number)
    places = places_of(m, number)
    first = m[places]
    for place in range(places + 1, places + min(count, PLACES)):
        first = min(first, m[place])
    node = chained(m, number) if count == CROWDED else -1
    while node >= 0:
        first = min(first, event(node, m[node + EV_TIME]))
        node = m[node + LINK]
    return int((number << SHIFT) + (first >> TIME_SHIFT))


@compiled
def take_out(m: Memory, number: int, node: int) -> bool:
    """Take a row out of a bucket, if it is there. The last place's event gets its place, the chain's next the last."""
    count = count_of(m, number)
    places = places_of(m, number)
    last = places + min(count, PLACES) - 1
    place = places
    while place <= last and m[place] & ROW != node:
        place += 1
    if place <= last:
        m[place] = m[last]
        if count == CROWDED:
            following = chained(m, number)
            m[last] = event(following, m[following + EV_TIME])
    elif count == CROWDED and event_chain.holds(m, m[last] & ROW, node):
        event_chain.take_out(m, m[last] & ROW, node)
    else:
        return False
    if count < CROWDED or chained(m, number) < 0:
        recount(m, number, -1)
    m[Q_COUNT] -= 1
    return True
