"""When the first CTA of a launch starts: what a machine takes for launches, and for code that has left L2."""

from sim.config.hardware import Hardware
from sim.memory import params
from sim.memory.latency import beyond_l2_ps

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
