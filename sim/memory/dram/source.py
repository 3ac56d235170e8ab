"""The request source and the event loop: admission under a window, hand-over, channel steps in time order.

The loop jumps from one tick with something to do to the next. Ties within a tick are resolved by channel
index; a channel's own accesses keep the stream's order. All state lives in the arrays, so a run may be cut at
any horizon and continued: the result is the same to the bit.
"""

# mypy: disable-error-code="no-any-return"
# (numpy types an element of an array as Any)

from sim.memory.dram.frfcfs_queues import hand_over
from sim.memory.dram.jit import compiled, entry
from sim.memory.dram.layout import (
    A_STRIDE,
    CHANNEL0,
    G_ADMITTED_AT,
    G_CHANNELS_END,
    G_COUNT,
    G_END,
    G_FINISHED,
    G_INFLIGHT,
    G_NEXT,
    G_NEXT_CHANNEL,
    G_PENDING,
    G_RETIRED,
    G_SPLIT,
    G_STEPS,
    G_TO_END,
    G_WIDTH,
    G_WINDOW,
    H_FIFO,
    H_FIFO_END,
    H_WAKE,
    INF,
    R_ADMIT,
    R_ARRIVE,
    R_STRIDE,
    RING,
    RING0,
    IntArray,
)
from sim.memory.dram.policy_bank_queues import step_bank_queues
from sim.memory.dram.policy_frfcfs import step_frfcfs
from sim.memory.pointer import cells


@compiled
def _retire(S: IntArray, until: int) -> None:
    """Completions up to tick `until` leave the window."""
    t = S[G_RETIRED] + 1
    last = min(until, S[G_RETIRED] + RING)
    while t <= last:
        slot = RING0 + (t & (RING - 1))
        S[G_INFLIGHT] -= S[slot]
        S[G_PENDING] -= S[slot]
        S[slot] = 0
        t += 1
    S[G_RETIRED] = max(S[G_RETIRED], until)


@compiled
def _next_completion(S: IntArray) -> int:
    if S[G_PENDING] == 0:
        return INF
    t = S[G_RETIRED] + 1
    while S[RING0 + (t & (RING - 1))] == 0:
        t += 1
    return t


@compiled
def _next_admission(S: IntArray, delay: int) -> int:
    """Tick at which the next request of the stream can be admitted, as far as is known now."""
    r = S[G_NEXT]
    if r >= S[G_END]:
        return INF
    t = max(S[r + R_ARRIVE], S[G_ADMITTED_AT] + 1)
    if S[G_WINDOW] > 0 and S[G_INFLIGHT] >= S[G_WINDOW]:
        t = max(t, _next_completion(S) + delay)
    return t


@compiled
def _admit(S: IntArray, t: int, wake: int) -> None:
    """Admit every request that has arrived and fits the window; its channels wake at `wake`."""
    r = S[G_NEXT]
    j = S[G_NEXT_CHANNEL]
    S[G_ADMITTED_AT] = t
    while r < S[G_END] and S[r + R_ARRIVE] <= t:
        if S[G_WINDOW] > 0 and S[G_INFLIGHT] >= S[G_WINDOW]:
            break
        S[r + R_ADMIT] = t
        for _ in range(S[G_SPLIT]):
            base = S[j]
            S[base + H_FIFO_END] += A_STRIDE
            S[base + H_WAKE] = min(S[base + H_WAKE], wake)
            j += 1
        S[G_INFLIGHT] += 1
        r += R_STRIDE
    S[G_NEXT] = r
    S[G_NEXT_CHANNEL] = j


@compiled
def _next_wake(S: IntArray) -> int:
    t = INF
    for base in range(CHANNEL0, S[G_CHANNELS_END], S[G_WIDTH]):
        t = min(t, S[base + H_WAKE])
    return t


@entry
def run_bank_queues(memory: IntArray, horizon: int) -> None:
    """Advance to `horizon`. A completion of tick c admits in tick c + 1; hand-over precedes the step."""
    S = cells(memory)
    while S[G_TO_END] == 0 or S[G_FINISHED] < S[G_COUNT]:
        admission = _next_admission(S, 1)
        t = min(admission, _next_wake(S))
        if t >= horizon:
            return
        _retire(S, t - 1)
        if admission <= t:
            _admit(S, t, t)
        for base in range(CHANNEL0, S[G_CHANNELS_END], S[G_WIDTH]):
            if S[base + H_WAKE] <= t:
                S[base + H_WAKE] = step_bank_queues(S, base, t)
                S[G_STEPS] += 1


@entry
def run_frfcfs(memory: IntArray, horizon: int) -> None:
    """Advance to `horizon`. Completions of tick c admit in tick c; steps precede admission and hand-over."""
    S = cells(memory)
    while S[G_TO_END] == 0 or S[G_FINISHED] < S[G_COUNT]:
        t = min(_next_admission(S, 0), _next_wake(S))
        if t >= horizon:
            return
        for base in range(CHANNEL0, S[G_CHANNELS_END], S[G_WIDTH]):
            if S[base + H_WAKE] <= t:
                S[base + H_WAKE] = step_frfcfs(S, base, t)
                S[G_STEPS] += 1
        _retire(S, t)
        if _next_admission(S, 0) <= t:
            _admit(S, t, INF)
        for base in range(CHANNEL0, S[G_CHANNELS_END], S[G_WIDTH]):
            if S[base + H_FIFO] < S[base + H_FIFO_END] and hand_over(S, base, t):
                S[base + H_WAKE] = min(S[base + H_WAKE], t + 1)
