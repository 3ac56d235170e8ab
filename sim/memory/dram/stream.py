"""Request streams of 64 bytes shaped like paged KV reads, and single-effect probes.

The definition is the one of the public truth data (`stream_digest` checks it): one PCG64 generator, drawn in
the order run slots, write flags, arrival gaps.
"""

import hashlib
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.errors import InputError
from sim.memory.dram.layout import IntArray
from sim.memory.dram.mapping import AddressMapping

REQUEST_BYTES = 64
ARRIVALS = ("sat", "poisson", "burst", "even")
WRITE_UNITS = "request, run, blockK with K from 1 to 999999999"
WRITE_UNIT = re.compile(r"request|run|block[1-9][0-9]{0,8}")
PROBES = ("hit", "conflict", "bg_same", "bg_rr", "act_rr", "act_rr2pc")


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests in issue order: byte address, write flag, arrival in picoseconds."""

    addr: IntArray
    wr: npt.NDArray[np.bool_]
    t_ps: IntArray

    def digest(self) -> str:
        """First 16 hex digits of SHA-256 over addr (<i8), wr (u1), t_ps (<i8)."""
        h = hashlib.sha256()
        h.update(np.ascontiguousarray(self.addr, dtype="<i8").tobytes())
        h.update(np.ascontiguousarray(self.wr, dtype="u1").tobytes())
        h.update(np.ascontiguousarray(self.t_ps, dtype="<i8").tobytes())
        return h.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """Parameters of a random stream; `run_bytes` 0 is sequential; load is a fraction of `peak_gb_s`."""

    n_req: int
    run_bytes: int
    capacity_bytes: int
    seed: int = 0
    interleave: int = 1
    write_frac: float = 0.0
    write_unit: str = "request"
    arrival: str = "sat"
    load: float = 0.0
    peak_gb_s: float = 0.0

    @property
    def per_run(self) -> int:
        return max(1, self.run_bytes // REQUEST_BYTES)

    @property
    def runs(self) -> int:
        if self.run_bytes == 0:
            return self.n_req
        runs = -(-self.n_req // self.per_run)
        return -(-runs // self.interleave) * self.interleave


def make_stream(spec: StreamSpec) -> Stream:
    """Draw the stream of `spec`. Raises InputError for an unknown `write_unit` or `arrival`."""
    rng = np.random.default_rng(spec.seed)
    addr = _addresses(spec, rng)
    wr = _writes(spec, rng)
    return Stream(addr, wr, _arrivals(spec, rng))


def _round_robin(per_run: npt.NDArray[np.generic], s: int) -> npt.NDArray[np.generic]:
    """(runs, per_run) in issue order, `s` runs at a time."""
    runs, n = per_run.shape
    return per_run.reshape(runs // s, s, n).transpose(0, 2, 1).reshape(-1)


def _addresses(spec: StreamSpec, rng: np.random.Generator) -> IntArray:
    if spec.run_bytes == 0:
        return (np.arange(spec.n_req, dtype=np.int64) * REQUEST_BYTES) % spec.capacity_bytes
    slot = rng.integers(0, spec.capacity_bytes // spec.run_bytes, size=spec.runs, dtype=np.int64)
    offsets = np.arange(spec.per_run, dtype=np.int64) * REQUEST_BYTES
    runs = slot[:, None] * spec.run_bytes + offsets[None, :]
    return _round_robin(runs, spec.interleave)[: spec.n_req].astype(np.int64)


def _writes(spec: StreamSpec, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    if spec.write_frac <= 0:
        return np.zeros(spec.n_req, dtype=np.bool_)
    if not WRITE_UNIT.fullmatch(spec.write_unit):
        raise InputError(f"write_unit: found {spec.write_unit[:80]!r}; allowed: {WRITE_UNITS}")
    if spec.write_unit == "request":
        return rng.random(spec.n_req) < spec.write_frac
    if spec.write_unit.startswith("block"):
        k = int(spec.write_unit.removeprefix("block"))
        return np.arange(spec.n_req) % round(k / spec.write_frac) < k
    flags = rng.random(spec.runs) < spec.write_frac
    runs = np.repeat(flags[:, None], spec.per_run, axis=1)
    return _round_robin(runs, spec.interleave)[: spec.n_req].astype(np.bool_)


def _arrivals(spec: StreamSpec, rng: np.random.Generator) -> IntArray:
    if spec.arrival == "sat":
        return np.zeros(spec.n_req, dtype=np.int64)
    if spec.load <= 0 or spec.peak_gb_s <= 0:
        raise InputError(f"load: found {spec.load}; allowed: a load and a peak above 0 for a timed arrival")
    ns_per_byte = 1.0 / (spec.load * spec.peak_gb_s)
    t: npt.NDArray[np.floating]
    if spec.arrival == "poisson":
        t = np.cumsum(rng.exponential(REQUEST_BYTES * ns_per_byte, size=spec.n_req))
    elif spec.arrival == "even":
        t = np.arange(spec.n_req) * (REQUEST_BYTES * ns_per_byte)
    elif spec.arrival == "burst":
        group = spec.per_run * spec.interleave
        gaps = rng.exponential(group * REQUEST_BYTES * ns_per_byte, size=spec.runs // spec.interleave)
        t = np.repeat(np.cumsum(gaps), group)[: spec.n_req]
    else:
        raise InputError(f"arrival: found {spec.arrival[:80]!r}; allowed: {', '.join(ARRIVALS)}")
    return np.rint(t * 1000.0).astype(np.int64)


def make_probe(kind: str, n_req: int, mapping: AddressMapping) -> Stream:
    """Single-effect stream in channel 0: row hits, row conflicts, bank groups or activates in turn.

    `hit` one bank, column after column; `conflict` one bank, a new row each time; `bg_same` four banks of one
    group; `bg_rr` one bank of each group; `act_rr` a new row in 16 banks in turn; `act_rr2pc` the same,
    alternating between pseudo-channels. Raises InputError for any other kind.
    """
    per_request = REQUEST_BYTES >> mapping.width("of")
    columns = (1 << mapping.width("co")) // per_request
    i = np.arange(n_req, dtype=np.int64)
    if kind == "hit":
        v = {"co": i % columns, "ro": (i // columns) % 1024}
    elif kind == "conflict":
        v = {"ro": i % 1024}
    elif kind in ("bg_same", "bg_rr"):
        v = {"co": (i // 4) % columns, "ro": (i // (4 * columns)) % 1024}
        v["ba" if kind == "bg_same" else "bg"] = i % 4
    elif kind in ("act_rr", "act_rr2pc"):
        j = i // 2 if kind == "act_rr2pc" else i
        v = {"bg": j % 4, "ba": (j // 4) % 4, "ro": (j // 16) % 1024}
        if kind == "act_rr2pc":
            v["pc"] = i % 2
    else:
        raise InputError(f"probe: found {kind[:80]!r}; allowed: {', '.join(PROBES)}")
    if "co" in v:
        v["co"] = v["co"] * per_request
    addr = mapping.encode(v, n_req)
    return Stream(addr, np.zeros(n_req, dtype=np.bool_), np.zeros(n_req, dtype=np.int64))
