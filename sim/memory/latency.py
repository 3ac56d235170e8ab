"""Latency of the memory system without load."""

from sim.config.hardware import Hardware


def l2_trip_ns(hw: Hardware) -> float:
    """From an SM to a near slice of L2, a hit there, and back."""
    return 2 * hw.noc.latency_ns + hw.l2.latency_ns
