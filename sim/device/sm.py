"""One streaming multiprocessor: its units, and the chain of stages that a fetched tile goes through."""

from sim.causes import INDEX
from sim.device.recorder import Recorder
from sim.device.stage_times import StageTimes
from sim.device.unit import Unit

TENSOR, SOFTMAX, UNPACK, ALU, ISSUE = (INDEX[c] for c in ("tensor", "softmax", "unpack", "alu", "issue"))


class Sm:
    """Units shared by the resident CTAs. The vector pipes serve softmax, FP32 work and emulated expansion alike."""

    __slots__ = ("index", "issue", "recorder", "tensor", "unpack", "vector")

    def __init__(self, index: int, recorder: Recorder) -> None:
        self.index = index
        self.recorder = recorder
        self.tensor = Unit()
        self.vector = Unit()
        self.unpack = Unit()
        self.issue = Unit()

    def work(self, unit: Unit, code: int, ready: int, duration: int) -> int:
        """Run one stage from `ready` on; the time at which it ends."""
        if duration <= 0:
            return ready
        end = ready
        for begin, end in unit.reserve(ready, duration):
            self.recorder.add(self.index, code, begin, end)
        return end

    def expand(self, times: StageTimes, tile: int, ready: int) -> int:
        """Expand a packed tile: in the native engine, or on the vector pipes in competition with softmax."""
        unit = self.unpack if times.unpack_native else self.vector
        return self.work(unit, UNPACK, ready, times.unpack[tile])
