"""Prints the fingerprints of short runs of every case; run with NUMBA_DISABLE_JIT=1 it is the plain twin."""

from tests.dram.cases import CASES, dram_for, stream_for
from tests.dram.test_controller_properties import STREAMS, fingerprint


def fingerprints() -> list[str]:
    out = []
    for number, case in enumerate(CASES):
        stream = stream_for(case, seed=number, n=120, **STREAMS[number % len(STREAMS)])
        dram = dram_for(case, stream, window=24, log_commands=5000)
        dram.run_to_end(tail=200)
        out.append(fingerprint(dram))
    return out


if __name__ == "__main__":
    print("\n".join(fingerprints()))
