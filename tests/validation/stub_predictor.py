"""A predictor for tests of the logic: importable by worker processes, quick, and it leaves a trace of each call."""

import os
import signal
from pathlib import Path

from sim.cli.attention_case import CaseTime
from sim.config.hardware import Hardware
from sim.config.workload import Workload
from sim.errors import InputError, SelfCheckError


def time_case(hardware: Hardware, workload: Workload, *, fidelity: str, seed: int) -> CaseTime:
    """1 us per 100 tokens of the batch; context 13 is bad input, 14 a defect, 15 interrupts the command."""
    with Path(os.environ["STUB_LOG"]).open("a") as log:
        log.write(f"{workload.batch} x {workload.context}\n")
    if workload.context == 13:
        raise InputError("13 tokens do not fit")
    if workload.context == 14:
        raise SelfCheckError("time 1 is below its bound 2")
    if workload.context == 15 and os.environ.get("STUB_INTERRUPT"):
        os.kill(os.getppid(), signal.SIGINT)
    tokens = workload.batch * workload.context
    return CaseTime(10.0 * tokens, 5.0 * tokens, {}, "made up" if workload.context == 16 else "")
