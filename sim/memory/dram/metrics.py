"""From completion ticks to the figures that DRAM studies report, by the definitions of the truth data."""

import numpy as np
import numpy.typing as npt

from sim.memory.channel_stream import ChannelStream
from sim.memory.dram.controller import ExactDram
from sim.memory.dram.layout import IntArray
from sim.memory.dram.stream import REQUEST_BYTES, Stream

PERCENTILES = (50, 95, 99)


def figures(dram: ExactDram | ChannelStream, stream: Stream, peak_gb_s: float) -> dict[str, float]:
    """Every figure of a finished run, keyed by the truth file's column names.

    Bandwidth is taken between the completions of 10% and 90% of all requests; latency over the reads with
    index in [10%, 95%) of the stream, from arrival (timed) or admission (saturated); `ctl_lat` from the tick
    in which the controller took the last access.
    """
    tick_ns = dram.config.tick_ps / 1000
    n = stream.addr.size
    bandwidth = _steady_bandwidth(dram.done, tick_ns)
    counts = dram.counts
    columns = counts.reads + counts.writes
    out = {
        "bw_GBps": bandwidth,
        "bw_frac": bandwidth / peak_gb_s,
        "bw_total_GBps": REQUEST_BYTES * n / max(dram.last_done * tick_ns, tick_ns),
        "sim_cycles": float(dram.last_done),
        "act_per_request": counts.activates / n,
        "row_hit_rate": 1 - counts.activates / max(columns, 1),
        "n_act": float(counts.activates),
        "n_pre": float(counts.precharges),
        "n_ref": float(counts.refreshes),
        "n_rd_cmd": float(counts.reads),
        "n_wr_cmd": float(counts.writes),
    }
    timed = bool(stream.t_ps.any())
    start = dram.arrival if timed else dram.admitted
    out |= _latency("lat", (dram.done - start) * tick_ns, stream.wr)
    out |= _latency("ctl_lat", (dram.done - dram.taken) * tick_ns, stream.wr)
    return out


def _steady_bandwidth(done: IntArray, tick_ns: float) -> float:
    """10^9 bytes per second between the completion of 10% and of 90% of the requests."""
    n = done.size
    order = np.sort(done)
    first, last = n // 10, max(n * 9 // 10 - 1, 0)
    span = float(order[last] - order[first]) * tick_ns
    return REQUEST_BYTES * (last - first) / span if span > 0 else 0.0


def _latency(name: str, latency_ns: npt.NDArray[np.floating], wr: npt.NDArray[np.bool_]) -> dict[str, float]:
    n = latency_ns.size
    inside = np.zeros(n, dtype=np.bool_)
    inside[int(np.ceil(0.10 * n)) : int(np.ceil(0.95 * n))] = True
    reads = latency_ns[inside & ~wr]
    if reads.size == 0:
        return {}
    out = {f"{name}_avg_ns": float(reads.mean())}
    for p in PERCENTILES:
        out[f"{name}_p{p}_ns"] = float(np.percentile(reads, p))
    return out
