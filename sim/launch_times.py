"""When the first CTA of a launch starts: what a machine takes for launches, and for code that has left L2."""

import math

from sim.config.hardware import Hardware
from sim.config.kernel_profile import USUAL_CODE_TRIPS
from sim.memory import params
from sim.memory.latency import beyond_l2_ps, l2_trip_ns

PS_PER_NS = 1000


def launch_gap_ps(hw: Hardware, how: str) -> int:
    """Time before a kernel's first CTA can start: from a stream, inside a graph, or not counted."""
    gap = {"graph": hw.launch.graph_ns, "stream": hw.launch.stream_ns, "none": 0.0}[how]
    return round(gap * PS_PER_NS)


def following_ps(hw: Hardware, how: str, *, at_once: bool, early: bool) -> tuple[int, int]:
    """Of a launch behind another: the gap between them, and from there to the first instruction of a CTA."""
    if at_once:
        return 0, 0
    gap = launch_gap_ps(hw, how)
    if early and hw.launch.dependent_ns is not None:
        return min(gap, round(hw.launch.dependent_ns * PS_PER_NS)), 0
    return gap, round(hw.launch.cta_ns * PS_PER_NS)


def code_ps(
    hw: Hardware, trips: float, lost: float, *, early: bool = False, zero_latency: bool = False
) -> int:
    """Wait of a launch for its code, parameters and descriptors, of which L2 has lost the share `lost`.

    Every SM needs the same ones at the same time, `trips` times one behind the other. L2 keeps them from one launch of
    a kernel to the next unless the data of the launches between push them out. One that was launched early, where the
    chip can, has them when it may begin.
    """
    if early and hw.launch.dependent_ns is not None:
        return 0
    return round(trips * lost * beyond_l2_ps(params.build(hw, zero_latency=zero_latency)))


def start_ns(hw: Hardware, lost: float, *, zero_latency: bool = False) -> float:
    """Wait of a kernel that has no profile for its code, parameters and descriptors: USUAL_CODE_TRIPS trips, one behind
    the other, for the share of them that L2 has lost. What L2 has, the SMs' own caches have too.

    Attention kernels count the way to memory alone (`code_ps`); what they do up to L2 is in their `prologue_clk`.
    Matrix products of up to 128 rows whose 134 MB push all else out of L2 take 1.0 to 1.9 us longer on H100, and 1.8 to
    3.2 us on H200, than a launch and a stream of their bytes (validation/gpu, gemm); this wait is 1.3 us on both.
    Small ones that are replayed from L2 take no longer (B200, NVIDIA AIConfigurator database).
    """
    trips = USUAL_CODE_TRIPS * lost
    beyond_l2 = code_ps(hw, USUAL_CODE_TRIPS, lost, zero_latency=zero_latency)
    return trips * l2_trip_ns(hw) + beyond_l2 / PS_PER_NS


def lost_share(passing: float, hw: Hardware) -> float:
    """Share of a kernel's code that L2 has lost when `passing` bytes go through it between two launches of the kernel:
    all of it beyond the capacity where the oldest lines leave first, a share that falls with their number where lines
    leave at random."""
    filled = passing / (hw.l2.capacity_mib * 2**20 * hw.l2.effective_fraction)
    return 1 - math.exp(-filled) if hw.l2.replacement == "random" else float(filled > 1)
