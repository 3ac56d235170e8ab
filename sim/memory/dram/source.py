"""The request source and the event loop: admission under a window, hand-over, channel steps in time order.

The loop jumps from one tick with something to do to the next. Ties within a tick are resolved by channel
index; a channel's own accesses keep the stream's order. All state lives in the arrays, so a run may be cut at
any horizon and continued: the result is the same to the bit.
"""

from numba import njit

from sim.memory.dram.frfcfs_queues import hand_over
from sim.memory.dram.layout import (
    G_ADMITTED_AT,
    G_CHANNELS,
    G_COUNT,
    G_FINISHED,
    G_INFLIGHT,
    G_NEXT,
    G_RETIRED,
    G_SPLIT,
    G_STEPS,
    G_TO_END,
    G_WIDTH,
    G_WINDOW,
    H_FIFO,
    H_FIFO_END,
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


@njit(cache=True)
def _retire(G: IntArray, until: int) -> None:
    """Completions up to tick `until` leave the window."""
    t = G[G_RETIRED] + 1
    last = min(until, G[G_RETIRED] + RING)
    while t <= last:
        slot = RING0 + (t & (RING - 1))
        G[G_INFLIGHT] -= G[slot]
        G[slot] = 0
        t += 1
    G[G_RETIRED] = max(G[G_RETIRED], until)


@njit(cache=True)
def _next_completion(G: IntArray) -> int:
    for t in range(G[G_RETIRED] + 1, G[G_RETIRED] + RING):
        if G[RING0 + (t & (RING - 1))] > 0:
            return t
    return INF


@njit(cache=True)
def _next_admission(R: IntArray, G: IntArray, delay: int) -> int:
    """Tick at which the next request of the stream can be admitted, as far as is known now."""
    i = G[G_NEXT]
    if i >= G[G_COUNT]:
        return INF
    t = max(R[R_STRIDE * i + R_ARRIVE], G[G_ADMITTED_AT] + 1)
    if G[G_WINDOW] > 0 and G[G_INFLIGHT] >= G[G_WINDOW]:
        t = max(t, _next_completion(G) + delay)
    return t


@njit(cache=True)
def _admit(S: IntArray, R: IntArray, C: IntArray, W: IntArray, G: IntArray, t: int, wake: int) -> None:
    """Admit every request that has arrived and fits the window; its channels wake at `wake`."""
    i = G[G_NEXT]
    split = G[G_SPLIT]
    G[G_ADMITTED_AT] = t
    while i < G[G_COUNT] and R[R_STRIDE * i + R_ARRIVE] <= t:
        if G[G_WINDOW] > 0 and G[G_INFLIGHT] >= G[G_WINDOW]:
            break
        R[R_STRIDE * i + R_ADMIT] = t
        for j in range(split * i, split * i + split):
            c = C[j]
            S[c * G[G_WIDTH] + H_FIFO_END] += 1
            W[c] = min(W[c], wake)
        G[G_INFLIGHT] += 1
        i += 1
    G[G_NEXT] = i


@njit(cache=True)
def run_bank_queues(
    S: IntArray, P: IntArray, A: IntArray, R: IntArray, C: IntArray, W: IntArray, G: IntArray, L: IntArray,
    horizon: int,
) -> None:  # fmt: skip
    """Advance to `horizon`. A completion of tick c admits in tick c + 1; hand-over precedes the step."""
    while G[G_TO_END] == 0 or G[G_FINISHED] < G[G_COUNT]:
        t = _next_admission(R, G, 1)
        for c in range(G[G_CHANNELS]):
            t = min(t, W[c])
        if t >= horizon:
            return
        _retire(G, t - 1)
        if _next_admission(R, G, 1) <= t:
            _admit(S, R, C, W, G, t, t)
        for c in range(G[G_CHANNELS]):
            if W[c] <= t:
                W[c] = step_bank_queues(S, P, A, R, G, L, c * G[G_WIDTH], t)
                G[G_STEPS] += 1


@njit(cache=True)
def run_frfcfs(
    S: IntArray, P: IntArray, A: IntArray, R: IntArray, C: IntArray, W: IntArray, G: IntArray, L: IntArray,
    horizon: int,
) -> None:  # fmt: skip
    """Advance to `horizon`. Channels step first, then completions of tick c admit in tick c, then hand-over."""
    while G[G_TO_END] == 0 or G[G_FINISHED] < G[G_COUNT]:
        t = _next_admission(R, G, 0)
        for c in range(G[G_CHANNELS]):
            t = min(t, W[c])
        if t >= horizon:
            return
        for c in range(G[G_CHANNELS]):
            if W[c] <= t:
                W[c] = step_frfcfs(S, P, A, R, G, L, c * G[G_WIDTH], t)
                G[G_STEPS] += 1
        _retire(G, t)
        if _next_admission(R, G, 0) <= t:
            _admit(S, R, C, W, G, t, INF)
        for c in range(G[G_CHANNELS]):
            base = c * G[G_WIDTH]
            if S[base + H_FIFO] < S[base + H_FIFO_END] and hand_over(S, P, A, R, G, base, t):
                W[c] = min(W[c], t + 1)
