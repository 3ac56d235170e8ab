"""bf16 matrix products, M rows by an 8192 x 8192 weight.

They give the rate that prefill can reach and the weight stream of a decode step.
"""

import importlib
from typing import Any

from gpu_harness.attention.paged_cache import relative_error
from gpu_harness.attention.rows import Parameter, emit
from gpu_harness.attention.timing import Timer

N = K = 8192
ROWS = (1, 16, 64, 128, 256, 1024, 8192)
TOLERANCE = 5e-3  # the result is rounded to bf16


def run() -> None:
    torch = importlib.import_module("torch")
    timer = Timer()
    weight = torch.randn((K, N), device="cuda").to(torch.bfloat16)
    for m in ROWS:
        rows = torch.randn((m, K), device="cuda").to(torch.bfloat16)

        def launch(rows: Any = rows) -> Any:
            return rows @ weight

        out = launch()
        expected = rows[-4:].to(torch.float64) @ weight[:, :256].to(torch.float64)
        ok = relative_error(out[-4:, :256], expected) <= TOLERANCE
        params: dict[str, Parameter] = {
            "kernel": "PyTorch matmul bf16",
            "m": m,
            "n": N,
            "k": K,
            "launch": "graph",
        }
        for state, us in (("cold", timer.cold_us(launch)), ("warm", timer.warm_us(launch))):
            emit("gemm", {**params, "l2_state": state}, us, "us", ok)
            emit("gemm", {**params, "l2_state": state}, [2e-6 * m * N * K / t for t in us], "TFLOP/s", ok)
