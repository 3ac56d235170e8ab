"""Division by parameters: a multiplication by 2**63 / divisor, which `build` has put beside the parameters.

A division takes a processor ten to forty times as long, and a request's way to its slice, set, channel, bank and row is
twenty of them.
"""

from sim.memory.bits import high
from sim.memory.jit import inlined
from sim.memory.layout import RECIPROCALS, Memory

WORD = 1 << 64


def reciprocal(by: int) -> int:
    """What `quotient` multiplies by, for a divisor of at least 1, as the signed integer of the same 64 bits.

    It is (2**63 + e) / by with 0 < e <= by, so value * reciprocal / 2**63 exceeds value / by by value * e / (by *
    2**63). That is less than 1 / by, and rounding down gives the quotient, for every value below 2**63 / by.
    """
    number = (1 << 63) // by + 1
    return number if number < WORD >> 1 else number - WORD


@inlined
def quotient(m: Memory, value: int, key: int) -> int:
    """value // m[key] of a value that is not negative and below 2**62 / m[key], by a positive parameter."""
    return high(2 * value, m[RECIPROCALS + key])


@inlined
def remainder(m: Memory, value: int, key: int) -> int:
    """value % m[key] of the same."""
    return int(value - quotient(m, value, key) * m[key])
