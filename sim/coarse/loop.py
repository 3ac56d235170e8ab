"""The compiled event loop at tile grain.

An SM port issues segments of its tiles in order, under its cap on outstanding bytes. A segment passes the L2 server,
the memory server for its missing share, and the port's ingress, each first come first served, with fixed latencies
between. A tile that has arrived goes through the units of its SM behind the tile before it. Events are processed
in time order, equal times in order of creation, so that equal inputs give equal bits.
"""

import numpy as np
from numpy.typing import NDArray

from sim.coarse import columns as c
from sim.coarse.jit import compiled, entry

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]

START, SEND, READY, FREE, DONE = range(5)
KINDS = 8
ONE = 1 << 16
IDLE_FOREVER = -1

# State of a slot, and of an SM.
S_CTA, S_ASKED, S_ISSUED, S_TAKEN, S_END, S_AT0, S_AT1, S_WAITS = range(8)
P_FREE, P_HEAD, P_COUNT, P_LEFT, P_PAID, P_EVENT, P_INFLIGHT, P_RHEAD, P_RCOUNT, P_INGRESS = range(10)
U_ISSUE, U_TENSOR, U_VECTOR, U_UNPACK = range(10, 22, 3)
"""A unit: when it is free for good, and the last gap before that, [begin, end)."""
SM_COLS = 22


@compiled
def push(times: Int64, codes: Int64, size: int, time: int, code: int) -> int:
    """Add an event to the heap; codes carry the order of creation. Returns the new size."""
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if times[parent] < time or (times[parent] == time and codes[parent] < code):
            break
        times[i] = times[parent]
        codes[i] = codes[parent]
        i = parent
    times[i] = time
    codes[i] = code
    return size + 1


@compiled
def pop(times: Int64, codes: Int64, size: int) -> int:
    """Take the first event out of the heap (the caller has read it). Returns the new size."""
    size -= 1
    time, code = times[size], codes[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            times[right] < times[child] or (times[right] == times[child] and codes[right] < codes[child])
        ):
            child = right
        if time < times[child] or (time == times[child] and code < codes[child]):
            break
        times[i] = times[child]
        codes[i] = codes[child]
        i = child
    times[i] = time
    codes[i] = code
    return size


@compiled
def work(sms: Int64, sm: int, unit: int, at: int, duration: int) -> int:
    """Book a unit of an SM from `at` on, in its last gap as far as that goes; the end."""
    if duration <= 0:
        return at
    begin = max(at, sms[sm, unit + 1])
    room = sms[sm, unit + 2] - begin
    if room > 0:
        if room >= duration:
            sms[sm, unit + 1] = begin + duration
            return int(begin + duration)
        sms[sm, unit + 2] = begin
        duration -= room
        at = sms[sm, unit]
    if at > sms[sm, unit]:
        sms[sm, unit + 1] = sms[sm, unit]
        sms[sm, unit + 2] = at
        sms[sm, unit] = at
    sms[sm, unit] += duration
    return int(sms[sm, unit])


@compiled
def compute(p: Int64, k: Int64, sms: Int64, sm: int, at: int) -> int:
    """One stream's share of a tile of class `k` through the units; the end."""
    at = work(sms, sm, U_ISSUE, at, k[c.ISSUE])
    at = work(sms, sm, U_UNPACK if p[c.UNPACK_NATIVE] else U_VECTOR, at, k[c.UNPACK])
    at = work(sms, sm, U_TENSOR, at, k[c.QK]) + k[c.QK_STALL]
    at = work(sms, sm, U_VECTOR, at, k[c.EXP])
    at = work(sms, sm, U_VECTOR, at, k[c.ALU])
    at = work(sms, sm, U_TENSOR, at, k[c.PV]) + k[c.PV_STALL]
    return int(at + p[c.BARRIER])


@entry
def run(
    p: Int64, classes: Int64, tile_ptr: Int64, tile_class: Int32, tile_hit: Int32, query_bytes: Int64
) -> tuple[int, int, int]:
    """Run a grid. p: [SCALARS]; classes: [K, CLASS_COLS]; tile_ptr: [C + 1]; tile_class, tile_hit: [T], the hit share
    in 1/65536; query_bytes: [C], read with a CTA's first tile.

    Returns when the last CTA is done, and when COUNT_FIRST and COUNT_LAST tiles had been consumed (-1: never).
    """
    n_sms, per_sm, stages = p[c.SMS], p[c.CTAS_PER_SM], p[c.STAGES]
    ctas = len(query_bytes)
    slots = np.zeros((n_sms * per_sm, 8), np.int64)
    sms = np.zeros((n_sms, SM_COLS), np.int64)
    room = per_sm * stages + 1
    waiting = np.zeros((n_sms, room), np.int64)
    credits = max(2, 2 + p[c.CAP] // max(1, min(p[c.SEGMENT], p[c.CAP])) * 2 + 64)
    due = np.zeros((n_sms, credits), np.int64)
    sizes = np.zeros((n_sms, credits), np.int64)
    arrived = np.zeros((n_sms * per_sm, stages + 1), np.int64)
    capacity = n_sms * (per_sm * (stages + 3) + 2) + 64
    times = np.zeros(capacity, np.int64)
    codes = np.zeros(capacity, np.int64)
    size = 0
    order = 0
    shift = 1
    while (1 << shift) < n_sms * per_sm * KINDS:
        shift += 1
    l2_free = 0
    hbm_free = 0
    end = p[c.START]
    next_cta = 0
    consumed = 0
    first_at = -1
    last_at = -1
    for slot in range(min(ctas, n_sms * per_sm)):
        slots[slot, S_CTA] = next_cta
        next_cta += 1
        order += 1
        at = p[c.START] + p[c.CTA] + p[c.PROLOGUE] + p[c.GATE]
        size = push(times, codes, size, at, (order << shift) | (slot * KINDS + START))
    while size > 0:
        now = times[0]
        code = codes[0] & ((1 << shift) - 1)
        size = pop(times, codes, size)
        kind = code % KINDS
        index = code // KINDS
        if kind == SEND:
            sm = index
            sms[sm, P_EVENT] = 0
            slot = waiting[sm, sms[sm, P_HEAD]]
            tile = slots[slot, S_ISSUED]
            k = classes[tile_class[tile]]
            cta = slots[slot, S_CTA]
            total = k[c.BYTES] + (query_bytes[cta] if tile == tile_ptr[cta] else 0)
            if sms[sm, P_LEFT] == 0:
                sms[sm, P_LEFT] = total
            part = min(p[c.SEGMENT], sms[sm, P_LEFT])
            start = now
            if not sms[sm, P_PAID]:
                start += k[c.PORT] * part // max(1, k[c.BYTES])
            while sms[sm, P_RCOUNT] > 0:
                head = sms[sm, P_RHEAD]
                fits = sms[sm, P_INFLIGHT] + part <= p[c.CAP] or sms[sm, P_INFLIGHT] == 0
                if due[sm, head] > start:
                    if fits:
                        break
                    start = due[sm, head]
                sms[sm, P_INFLIGHT] -= sizes[sm, head]
                sms[sm, P_RHEAD] = (head + 1) % credits
                sms[sm, P_RCOUNT] -= 1
            if start > now:
                sms[sm, P_PAID] = 1
                sms[sm, P_EVENT] = 1
                order += 1
                size = push(times, codes, size, start, (order << shift) | (sm * KINDS + SEND))
                continue
            sms[sm, P_PAID] = 0
            at = max(now + p[c.WAY_IN], l2_free)
            l2_free = at + ((part * p[c.L2_Q16]) >> 16)
            at += p[c.L2_LATENCY]
            missing = (part * (ONE - tile_hit[tile])) >> 16
            if missing > 0:
                at = max(at, hbm_free)
                hbm_free = at + ((missing * p[c.HBM_Q16]) >> 16)
                at = hbm_free + p[c.HBM_LATENCY]
            else:
                at = max(at, l2_free)
            at = max(at + p[c.WAY_BACK], sms[sm, P_INGRESS])
            at += (part * p[c.INGRESS_Q16]) >> 16
            sms[sm, P_INGRESS] = at
            tail = (sms[sm, P_RHEAD] + sms[sm, P_RCOUNT]) % credits
            due[sm, tail] = at
            sizes[sm, tail] = part
            sms[sm, P_RCOUNT] += 1
            sms[sm, P_INFLIGHT] += part
            sms[sm, P_LEFT] -= part
            if sms[sm, P_LEFT] == 0:
                sms[sm, P_HEAD] = (sms[sm, P_HEAD] + 1) % room
                sms[sm, P_COUNT] -= 1
                arrived[slot, tile % (stages + 1)] = at + p[c.FAR_EXTRA]
                slots[slot, S_ISSUED] += 1
                if slots[slot, S_WAITS] and slots[slot, S_TAKEN] == tile:
                    slots[slot, S_WAITS] = 0
                    order += 1
                    due_at = max(at + p[c.FAR_EXTRA], min(slots[slot, S_AT0], slots[slot, S_AT1]))
                    size = push(times, codes, size, due_at, (order << shift) | (slot * KINDS + READY))
            if sms[sm, P_COUNT] > 0:
                sms[sm, P_EVENT] = 1
                order += 1
                size = push(times, codes, size, now, (order << shift) | (sm * KINDS + SEND))
            continue
        slot = index
        sm = slot % n_sms
        if kind == READY:
            tile = slots[slot, S_TAKEN]
            k = classes[tile_class[tile]]
            slots[slot, S_AT0] = compute(p, k, sms, sm, max(now, slots[slot, S_AT0]))
            if p[c.STREAMS] == 2:
                slots[slot, S_AT1] = compute(p, k, sms, sm, max(now, slots[slot, S_AT1]))
            else:
                slots[slot, S_AT1] = slots[slot, S_AT0]
            done = max(slots[slot, S_AT0], slots[slot, S_AT1])
            ready = min(slots[slot, S_AT0], slots[slot, S_AT1])
            slots[slot, S_TAKEN] = tile + 1
            order += 1
            size = push(times, codes, size, done, (order << shift) | (slot * KINDS + FREE))
            if tile + 1 == slots[slot, S_END]:
                order += 1
                size = push(times, codes, size, done, (order << shift) | (slot * KINDS + DONE))
            elif tile + 1 < slots[slot, S_ISSUED]:
                order += 1
                due_at = max(ready, arrived[slot, (tile + 1) % (stages + 1)])
                size = push(times, codes, size, due_at, (order << shift) | (slot * KINDS + READY))
            else:
                slots[slot, S_WAITS] = 1
            continue
        if kind == DONE:
            at = work(sms, sm, U_ISSUE, now, p[c.EPILOGUE]) + p[c.STORE]
            end = max(end, at)
            if next_cta < ctas:
                slots[slot, S_CTA] = next_cta
                next_cta += 1
                at += p[c.CTA] + p[c.PROLOGUE] + p[c.GATE]
                order += 1
                size = push(times, codes, size, at, (order << shift) | (slot * KINDS + START))
            continue
        asks = 1
        if kind == FREE:
            consumed += 1
            if consumed == p[c.COUNT_FIRST]:
                first_at = now
            if consumed == p[c.COUNT_LAST]:
                last_at = now
        else:
            cta = slots[slot, S_CTA]
            first = tile_ptr[cta]
            slots[slot, S_ASKED] = first
            slots[slot, S_ISSUED] = first
            slots[slot, S_TAKEN] = first
            slots[slot, S_END] = tile_ptr[cta + 1]
            slots[slot, S_AT0] = now
            slots[slot, S_AT1] = now
            slots[slot, S_WAITS] = 1
            asks = stages
        while asks > 0 and slots[slot, S_ASKED] < slots[slot, S_END]:
            asks -= 1
            slots[slot, S_ASKED] += 1
            waiting[sm, (sms[sm, P_HEAD] + sms[sm, P_COUNT]) % room] = slot
            sms[sm, P_COUNT] += 1
        if sms[sm, P_COUNT] > 0 and not sms[sm, P_EVENT]:
            sms[sm, P_EVENT] = 1
            order += 1
            size = push(times, codes, size, now, (order << shift) | (sm * KINDS + SEND))
    return end, first_at, last_at
