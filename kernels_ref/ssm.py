"""Bounded-state kernels to compare paged attention with: Mamba-2 state update and linear attention.

Both keep a state of fixed size instead of a KV history. Each comes as the recurrence that decode runs and as
the chunked form that prefill runs (quadratic within a chunk, one state between: Dao and Gu 2024, "state
space duality"); the oracles are the direct recurrence and the quadratic form over the whole sequence.

Mamba-2, per head: h_t = exp(dt_t * A) * h_{t-1} + dt_t * x_t (x) B_t;  y_t = h_t C_t + D * x_t.
Linear attention (Katharopoulos 2020), with a decay g per head (RetNet; 1 is none):
S_t = g * S_{t-1} + f(k_t) (x) v_t;  z_t = g * z_{t-1} + f(k_t);  out_t = f(q_t) S_t / (f(q_t) z_t);
f = elu + 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.errors import InputError

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class SsmInputs:
    """Tokens of one sequence: x [T, H, P], dt [T, H] (positive), B and C [T, G, N]; A (negative) and D [H].

    Head h uses group h // (H / G) of B and C.
    """

    x: F64
    dt: F64
    b: F64
    c: F64
    a: F64
    d: F64

    def __post_init__(self) -> None:
        tokens, heads, _ = self.x.shape
        fits = self.dt.shape == (tokens, heads) and self.b.shape == self.c.shape and self.a.shape == (heads,)
        if not fits or len(self.b) != tokens or heads % self.b.shape[1]:
            raise InputError(
                f"ssm: x {self.x.shape}, dt {self.dt.shape}, B {self.b.shape}, C {self.c.shape}, "
                f"A {self.a.shape} do not fit; allowed: [T, H, P], [T, H], [T, G, N] twice, [H], G dividing H"
            )

    def per_head(self, grouped: F64) -> F64:
        """[T, G, N] -> [T, H, N]."""
        return np.repeat(grouped, self.x.shape[1] // grouped.shape[1], axis=1)

    def part(self, first: int, last: int) -> "SsmInputs":
        cut = slice(first, last)
        return SsmInputs(self.x[cut], self.dt[cut], self.b[cut], self.c[cut], self.a, self.d)


def empty_state(inputs: SsmInputs) -> F64:
    """[H, P, N] zeros: all that a sequence keeps, whatever its length."""
    return np.zeros((*inputs.x.shape[1:], inputs.b.shape[2]))


def ssm_step(state: F64, inputs: SsmInputs) -> tuple[F64, F64]:
    """The recurrence over all tokens: (state after the last [H, P, N], y [T, H, P])."""
    b, c = inputs.per_head(inputs.b), inputs.per_head(inputs.c)
    y = np.empty(inputs.x.shape)
    for t in range(len(inputs.x)):
        decay = np.exp(inputs.dt[t] * inputs.a)[:, None, None]
        entering = (inputs.dt[t, :, None] * inputs.x[t])[:, :, None] * b[t][:, None, :]
        state = decay * state + entering
        y[t] = np.einsum("hpn,hn->hp", state, c[t]) + inputs.d[:, None] * inputs.x[t]
    return state, y


def ssm_chunked(state: F64, inputs: SsmInputs, chunk: int) -> tuple[F64, F64]:
    """The same by chunks of `chunk` tokens, as a prefill kernel computes it."""
    if chunk < 1:
        raise InputError(f"ssm: chunk {chunk}; allowed: 1 and more")
    parts = [np.empty((0, *inputs.x.shape[1:]))]
    for first in range(0, len(inputs.x), chunk):
        state, y = _ssm_chunk(state, inputs.part(first, first + chunk))
        parts.append(y)
    return state, np.concatenate(parts)


def _ssm_chunk(state: F64, inputs: SsmInputs) -> tuple[F64, F64]:
    b, c = inputs.per_head(inputs.b), inputs.per_head(inputs.c)
    log_decay = np.cumsum(inputs.dt * inputs.a, axis=0)
    weighted = inputs.dt[:, :, None] * inputs.x
    mixing = np.einsum("thn,shn->hts", c, b) * decay_between(log_decay.T)
    within = np.einsum("hts,shp->thp", mixing, weighted)
    before = np.einsum("thn,hpn->thp", c, state) * np.exp(log_decay)[:, :, None]
    to_end = np.exp(log_decay[-1] - log_decay)
    carried = np.exp(log_decay[-1])[:, None, None] * state
    after = carried + np.einsum("shp,shn,sh->hpn", weighted, b, to_end)
    return after, within + before + inputs.d[None, :, None] * inputs.x


def decay_between(log_decay: F64) -> F64:
    """[H, T] cumulative logs -> [H, T, T]: exp(log[t] - log[s]) for s <= t, 0 above the diagonal."""
    difference = log_decay[:, :, None] - log_decay[:, None, :]
    lower = np.tril(np.ones(difference.shape[1:], dtype=bool))
    return np.where(lower, np.exp(np.where(lower, difference, 0.0)), 0.0)


@dataclass(frozen=True)
class LinearState:
    """S [H, D, Dv] and its normaliser z [H, D]."""

    s: F64
    z: F64

    @classmethod
    def empty(cls, heads: int, dim: int, value_dim: int) -> "LinearState":
        return cls(np.zeros((heads, dim, value_dim)), np.zeros((heads, dim)))

    @property
    def values(self) -> int:
        """Numbers kept per sequence."""
        return self.s.size + self.z.size


def feature(x: F64) -> F64:
    """elu(x) + 1, positive everywhere."""
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))


def linear_step(state: LinearState, q: F64, k: F64, v: F64, decay: F64) -> tuple[LinearState, F64]:
    """The recurrence over q, k [T, H, D] and v [T, H, Dv], decay [H] in (0, 1]: (state, out [T, H, Dv])."""
    s, z = state.s, state.z
    out = np.empty(v.shape)
    for t in range(len(q)):
        key = feature(k[t])
        s = decay[:, None, None] * s + key[:, :, None] * v[t][:, None, :]
        z = decay[:, None] * z + key
        query = feature(q[t])
        out[t] = np.einsum("hd,hdv->hv", query, s) / np.einsum("hd,hd->h", query, z)[:, None]
    return LinearState(s, z), out


def linear_chunked(
    state: LinearState, q: F64, k: F64, v: F64, decay: F64, chunk: int
) -> tuple[LinearState, F64]:
    """The same by chunks of `chunk` tokens."""
    if chunk < 1:
        raise InputError(f"linear attention: chunk {chunk}; allowed: 1 and more")
    parts = [np.empty((0, *v.shape[1:]))]
    for first in range(0, len(q), chunk):
        cut = slice(first, first + chunk)
        state, out = _linear_chunk(state, feature(q[cut]), feature(k[cut]), v[cut], decay)
        parts.append(out)
    return state, np.concatenate(parts)


def _linear_chunk(state: LinearState, fq: F64, fk: F64, v: F64, decay: F64) -> tuple[LinearState, F64]:
    tokens = len(fq)
    log_decay: F64 = np.arange(1.0, tokens + 1)[None, :] * np.log(decay)[:, None]
    mixing = np.einsum("thd,shd->hts", fq, fk) * decay_between(log_decay)
    reach = np.exp(log_decay).T[:, :, None]
    numerator = np.einsum("hts,shv->thv", mixing, v) + reach * np.einsum("thd,hdv->thv", fq, state.s)
    denominator = mixing.sum(axis=2).T + reach[..., 0] * np.einsum("thd,hd->th", fq, state.z)
    to_end = np.exp(log_decay[:, -1:] - log_decay).T
    whole = np.exp(log_decay[:, -1])
    s = whole[:, None, None] * state.s + np.einsum("shd,shv,sh->hdv", fk, v, to_end)
    z = whole[:, None] * state.z + np.einsum("shd,sh->hd", fk, to_end)
    return LinearState(s, z), numerator / denominator[..., None]
