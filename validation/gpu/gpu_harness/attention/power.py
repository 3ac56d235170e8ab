"""What the board draws while it does one thing: NVML's energy counter over seconds of the same call.

Differences between rows are joules a byte or an operation: the note has how many a second.
"""

import importlib
import time
from collections.abc import Callable
from typing import Any

from gpu_harness.attention.layout import Point, decode_of
from gpu_harness.attention.rows import emit, skip

SETTLE_S, TIMED_S, PARTS = 1.0, 2.4, 3
"""Until clocks and fans have settled; and what is timed, in so many parts. The counter moves every 0.1 s or so."""
CALLS = 8
STREAM_BYTES, CACHED_BYTES = 1 << 31, 1 << 23
SIZE, FEW_ROWS, MATRICES = 8192, 16, 12


class Board:
    """Joules and clock of the first GPU, by NVML; ImportError or NVMLError where it cannot be asked."""

    def __init__(self) -> None:
        self._nvml = importlib.import_module("pynvml")
        self._nvml.nvmlInit()
        self._handle = self._nvml.nvmlDeviceGetHandleByIndex(0)
        self.joules()

    def joules(self) -> float:
        return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1e3

    def limit_w(self) -> float:
        return float(self._nvml.nvmlDeviceGetEnforcedPowerLimit(self._handle)) / 1e3


def watts(board: Board, call: Callable[[], Any], wait: Callable[[], None]) -> tuple[list[float], float]:
    """Power over each part, and calls a second over all."""
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until:
        call()
        wait()
    drawn, calls, took = [], 0, 0.0
    for _ in range(PARTS):
        before, start = board.joules(), time.monotonic()
        while time.monotonic() < start + TIMED_S / PARTS:
            for _ in range(CALLS):
                call()
            calls += CALLS
            wait()
        seconds = time.monotonic() - start
        drawn.append((board.joules() - before) / seconds)
        took += seconds
    return drawn, calls / took


def loads() -> list[tuple[str, Callable[[], Any], str, float]]:
    """(variant, call, what it does, how much of it a call does)."""
    torch = importlib.import_module("torch")

    def random(*shape: int) -> Any:
        return torch.randn(shape, device="cuda", dtype=torch.bfloat16)

    large = random(STREAM_BYTES // 2)
    into, small = torch.empty_like(large), random(CACHED_BYTES // 2)
    kept = torch.empty_like(small)
    a, b, nothing = (
        random(SIZE, SIZE),
        random(SIZE, SIZE),
        torch.zeros((SIZE, SIZE), device="cuda").bfloat16(),
    )
    a8, b8 = (matrix.to(torch.float8_e4m3fn) for matrix in (a, b.t().contiguous()))
    one = torch.ones((), device="cuda")
    few, weights = random(FEW_ROWS, SIZE), [random(SIZE, SIZE) for _ in range(MATRICES)]
    flop = 2.0 * SIZE**3
    decode, _ = decode_of(Point(64, 8192))
    return [
        ("idle", lambda: time.sleep(0.01), "", 0.0),
        ("copy, 2 GiB", lambda: into.copy_(large), "bytes", 2.0 * STREAM_BYTES),
        ("read, 2 GiB", lambda: large.view(torch.int32).sum(), "bytes", float(STREAM_BYTES)),
        ("copy in L2, 8 MiB", lambda: [kept.copy_(small) for _ in range(20)], "bytes", 40.0 * CACHED_BYTES),
        ("product, bf16", lambda: a @ b, "operations", flop),
        ("product of zeros, bf16", lambda: nothing @ nothing, "operations", flop),
        (
            "product, fp8",
            lambda: torch._scaled_mm(a8, b8.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16),
            "operations",
            flop,
        ),
        (
            f"products of {FEW_ROWS} rows, bf16",
            lambda: [few @ w for w in weights],
            "bytes",
            2.0 * MATRICES * SIZE * SIZE,
        ),
        ("decode 64 x 8192, bf16", decode, "bytes", 64.0 * 8192 * 8 * 128 * 4),
    ]


def run() -> None:
    try:
        board = Board()
    except Exception as error:  # no pynvml, no driver, no counter on this part: each has an error of its own
        skip("board_power", f"{type(error).__name__}: {error}")
        return
    torch = importlib.import_module("torch")
    for variant, call, what, amount in loads():
        drawn, per_s = watts(board, call, torch.cuda.synchronize)
        note = f"limit {board.limit_w():.0f} W; {per_s:.1f} calls/s"
        note += f" of {amount:.4g} {what}" if what else ""
        emit("board_power", {"variant": variant}, drawn, "W", True, note)
