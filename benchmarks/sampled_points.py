"""The points on which `bench_sampled.py` judges `--fidelity sampled`.

DESIGN is what the sampling was made with. SECOND has other machines, kernels, shapes and seeds. It was drawn up before
any of it was run, but its errors were seen while the sampling was improved. THIRD watches two classes that neither has.
`random_points` draws new ones.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Point:
    """A kernel on a machine; `sets` are overrides of the workload `base`, without their prefix."""

    hardware: str
    kernel: str
    sets: str
    base: str = "decode_16x8k"
    seed: int = 0

    @property
    def name(self) -> str:
        seed = f" seed={self.seed}" if self.seed else ""
        return f"{self.hardware} {self.kernel} {self.base} {self.sets}{seed}".strip()

    @property
    def overrides(self) -> tuple[str, ...]:
        return (f"workload.kernel={self.kernel}", *(f"workload.{item}" for item in self.sets.split()))


H100, A100, B200, H200, L40S, PRO = (
    "h100_sxm",
    "a100_sxm_80gb",
    "b200",
    "h200_sxm",
    "l40s",
    "rtx_pro_6000_server",
)
WARM = "l2_state=warm"

DESIGN = (
    Point(H100, "fa3", "batch=1 context=65536"),
    Point(H100, "fa3", ""),
    Point(H100, "fa3", "batch=64 context=2048"),
    Point(H100, "fa3", "batch=256 context=1024"),
    Point(H100, "fa3", f"batch=5 context=2048 {WARM}"),
    Point(H100, "fa3", f"batch=6 context=2048 {WARM}"),
    Point(H100, "fa3", f"batch=2 context=8192 {WARM}"),
    Point(H100, "fa3", f"batch=9 context=2048 {WARM}"),
    Point(H100, "fa3", f"batch=16 context=4096 {WARM}"),
    Point(H100, "fa3", "batch=32 context=4096 shared_prefix=2048"),
    Point(H100, "fa3_sglang", "batch=16 context=4096 page_tokens=1"),
    Point(H100, "fa3_sglang", f"batch=8 context=8192 page_tokens=1 {WARM}"),
    Point(H100, "fa3_fp8", "batch=32 context=8192 kv_format=fp8_e4m3"),
    Point(H100, "fa3", "", "decode_chat"),
    Point(H100, "fa3_prefill", "batch=1 context=2048 q_len=2048", "prefill_4k"),
    Point(H100, "fa3_prefill", "batch=1 context=4096 q_len=4096", "prefill_4k"),
    Point(H100, "fa3_prefill", f"batch=4 context=1024 q_len=1024 {WARM}", "prefill_4k"),
    Point(H100, "flashmla", "batch=16 context=4096", "decode_mla"),
    Point(H100, "flashmla", f"batch=32 context=4096 {WARM}", "decode_mla"),
    Point(A100, "fa2", "batch=16 context=4096"),
    Point(A100, "fa2", f"batch=4 context=2048 {WARM}"),
    Point(A100, "fa2", f"batch=6 context=2048 {WARM}"),
    Point(A100, "fa2", "batch=128 context=1024"),
    Point(A100, "fa2", "batch=32 context=uniform:512..4096"),
    Point(A100, "flashinfer", "batch=32 context=4096 page_tokens=16"),
    Point(A100, "flashinfer", f"batch=16 context=2048 page_tokens=1 {WARM}"),
    Point(A100, "fa2_prefill", "batch=1 context=2048 q_len=2048", "prefill_4k"),
    Point(A100, "flashinfer_prefill", "batch=2 context=2048 q_len=2048", "prefill_4k"),
    Point(B200, "trtllm_gen", ""),
    Point(B200, "trtllm_gen", WARM),
    Point(B200, "trtllm_gen", f"batch=12 context=2048 {WARM}"),
    Point(B200, "trtllm_gen", f"batch=8 context=4096 {WARM}"),
    Point(B200, "trtllm_gen", f"batch=10 context=4096 {WARM}"),
    Point(B200, "trtllm_gen", "batch=256 context=1024"),
    Point(B200, "trtllm_gen", "batch=64 context=4096 shared_prefix=2048"),
    Point(B200, "trtllm_gen", "batch=64 context=uniform:512..8192"),
    Point(B200, "trtllm_gen_fp8", "batch=64 context=4096 kv_format=fp8_e4m3"),
    Point(B200, "trtllm_gen_prefill", "batch=1 context=4096 q_len=4096", "prefill_4k"),
    Point(B200, "flashinfer", "batch=32 context=4096 page_tokens=1"),
    Point(H200, "fa3", "batch=32 context=8192"),
    Point(H200, "fa3", f"batch=7 context=2048 {WARM}"),
    Point(H200, "fa3", f"batch=64 context=1024 {WARM}"),
    Point(H200, "fa3", "batch=48 context=uniform:256..8192 page_tokens=16"),
    Point(H200, "flashinfer", ""),
    Point(H200, "xqa", "batch=32 context=4096 page_tokens=32"),
    Point(H200, "fa3_sglang", "batch=64 context=2048 page_tokens=1"),
    Point(H200, "fa3_prefill", "batch=2 context=2048 q_len=2048", "prefill_4k"),
    Point(L40S, "fa2", "batch=16 context=4096"),
    Point(L40S, "fa2", f"batch=10 context=2048 {WARM}"),
    Point(L40S, "fa2", f"batch=12 context=2048 {WARM}"),
    Point(L40S, "fa2", f"batch=16 context=2048 {WARM}"),
    Point(L40S, "fa2", f"batch=16 context=8192 {WARM}"),
    Point(L40S, "flashinfer", "batch=24 context=uniform:1024..8192"),
    Point(L40S, "xqa", f"batch=9 context=4096 page_tokens=32 {WARM}"),
    Point(L40S, "fa2_prefill", "batch=1 context=2048 q_len=2048", "prefill_4k"),
    Point(PRO, "fa2", "batch=16 context=4096"),
    Point(PRO, "fa2", f"batch=12 context=2048 {WARM}"),
    Point(PRO, "flashinfer", f"batch=9 context=4096 {WARM}"),
    Point(PRO, "flashinfer", "batch=64 context=2048 page_tokens=1 shared_prefix=1024"),
    Point(PRO, "fa2", "batch=128 context=1024"),
)

SECOND = (
    Point(H100, "fa3", "batch=3 context=24576"),
    Point(H100, "fa3", "batch=24 context=6144"),
    Point(H100, "fa3", "batch=96 context=1536"),
    Point(H100, "fa3", f"batch=40 context=3072 {WARM}"),
    Point(H100, "fa3", f"batch=7 context=2304 {WARM}"),
    Point(H100, "fa3", f"batch=8 context=3072 {WARM}"),
    Point(H100, "fa3", "batch=20 context=uniform:2048..12288", seed=3),
    Point(H100, "fa3", "batch=48 context=3072 shared_prefix=1024"),
    Point(H100, "fa3", "", "decode_window"),
    Point(H100, "fa3", "batch=24 context=4096", "verify_32x8k"),
    Point(H100, "fa3_sglang", "batch=24 context=2560 page_tokens=1", seed=1),
    Point(H100, "xqa", "batch=20 context=5120"),
    Point(H100, "xqa_fp8", f"batch=64 context=4096 kv_format=fp8_e4m3 {WARM}"),
    Point(H100, "triton_vllm", "batch=24 context=4096 page_tokens=16"),
    Point(H100, "fa3_prefill", "batch=1 context=3072 q_len=3072", "prefill_4k"),
    Point(H100, "trtllm_prefill", "batch=1 context=5120 q_len=5120", "prefill_4k"),
    Point(H100, "flashmla", "batch=48 context=3072", "decode_mla"),
    Point(H200, "fa3", "batch=12 context=12288"),
    Point(H200, "fa3", f"batch=80 context=2048 {WARM}"),
    Point(H200, "fa3", "", "decode_chat", seed=5),
    Point(H200, "flashinfer", f"batch=20 context=6144 {WARM}"),
    Point(H200, "triton_sglang", "batch=32 context=3072 page_tokens=1", seed=2),
    Point(H200, "flashmla", f"batch=24 context=6144 {WARM}", "decode_mla"),
    Point(H200, "fa3_prefill", "batch=6 context=1024 q_len=1024", "prefill_4k"),
    Point("h100_pcie", "fa2", "batch=12 context=6144"),
    Point("h100_pcie", "flashinfer", f"batch=7 context=3072 {WARM}"),
    Point(B200, "trtllm_gen", "batch=24 context=6144"),
    Point(B200, "trtllm_gen", "batch=1 context=131072"),
    Point(B200, "trtllm_gen", "batch=128 context=1536"),
    Point(B200, "trtllm_gen", f"batch=14 context=4096 {WARM}"),
    Point(B200, "trtllm_gen", f"batch=20 context=4096 {WARM}"),
    Point(B200, "trtllm_gen", "batch=96 context=3072 shared_prefix=1024"),
    Point(B200, "trtllm_gen", "batch=48 context=uniform:1024..6144", seed=7),
    Point(B200, "trtllm_gen_fp8", "batch=96 context=3072 kv_format=fp8_e4m3"),
    Point(B200, "flashinfer", f"batch=20 context=6144 page_tokens=16 {WARM}"),
    Point(B200, "trtllm_gen_prefill", "batch=2 context=3072 q_len=3072", "prefill_4k"),
    Point(A100, "fa2", "batch=24 context=3072"),
    Point(A100, "fa2", f"batch=9 context=3072 {WARM}"),
    Point(A100, "flashinfer", "batch=48 context=uniform:256..3072", seed=4),
    Point(A100, "flash_decoding", "batch=64 context=2048"),
    Point(A100, "xqa", f"batch=12 context=3072 {WARM}"),
    Point(A100, "paged_v2", "batch=32 context=2048 page_tokens=16"),
    Point(A100, "fa2_prefill", "batch=2 context=1536 q_len=1536", "prefill_4k"),
    Point("a100_sxm_40gb", "fa2", "batch=8 context=6144"),
    Point("a100_sxm_40gb", "fa2", "", "decode_mha"),
    Point("rtx4090", "fa2", "batch=16 context=4096"),
    Point("rtx4090", "fa2", f"batch=8 context=8192 {WARM}"),
    Point("rtx4090", "fa2", f"batch=10 context=2048 {WARM}"),
    Point("rtx4090", "flashinfer", "batch=20 context=uniform:512..6144", seed=6),
    Point("rtx4090", "fa2_prefill", "batch=1 context=3072 q_len=3072", "prefill_4k"),
    Point(L40S, "fa2", "batch=20 context=3072"),
    Point(L40S, "flashinfer", f"batch=14 context=2560 {WARM}"),
    Point(L40S, "trtllm_mmha", "batch=8 context=4096"),
    Point("l4", "fa2", "batch=8 context=4096"),
    Point("l4", "fa2", f"batch=7 context=2048 {WARM}"),
    Point(PRO, "fa2", "batch=20 context=6144"),
    Point(PRO, "fa2", f"batch=14 context=3072 {WARM}"),
    Point(PRO, "flashinfer", "batch=40 context=1536 page_tokens=1", seed=8),
    Point("rtx_pro_6000_workstation", "xqa", "batch=24 context=4096"),
    Point("mi300x", "register_decode", "batch=24 context=6144 page_tokens=16"),
)

ONE_HEAD = "page_tokens=1 tensor_parallel=8"
THIRD = (
    Point(B200, "flashinfer", f"batch=64 context=8192 {ONE_HEAD}"),
    Point(B200, "flashinfer", f"batch=16 context=32768 {ONE_HEAD}"),
    Point(B200, "flashinfer", f"batch=16 context=65536 {ONE_HEAD}"),
    Point(B200, "flashinfer", f"batch=40 context=12288 {ONE_HEAD}"),
    Point(B200, "flashinfer", f"batch=256 context=2048 {ONE_HEAD}"),
    Point(B200, "flashinfer", "batch=24 context=8192 page_tokens=1 tensor_parallel=4"),
    Point(B200, "flashinfer", f"batch=48 context=uniform:2048..16384 {ONE_HEAD}", seed=11),
    Point(H200, "flashinfer", f"batch=32 context=16384 {ONE_HEAD}"),
    Point(H200, "flashinfer", "batch=12 context=16384 page_tokens=1 tensor_parallel=4"),
    Point(H100, "flashinfer", f"batch=64 context=6144 {ONE_HEAD}"),
    Point(H100, "flashinfer", f"batch=48 context=uniform:1024..12288 {ONE_HEAD}", seed=12),
    Point(A100, "flashinfer", f"batch=24 context=12288 {ONE_HEAD}"),
    Point(L40S, "flashinfer", f"batch=16 context=8192 {ONE_HEAD}"),
    Point(PRO, "flashinfer", f"batch=32 context=8192 {ONE_HEAD}"),
    Point("rtx4090", "flashinfer", "batch=12 context=8192 page_tokens=1 tensor_parallel=4"),
    Point(B200, "trtllm_gen_fp8", "batch=256 context=512 kv_format=fp8_e4m3"),
    Point(B200, "trtllm_gen", "batch=256 context=512"),
)
"""Few KV heads over pages of one token, where CTAs wait for entries of the block table at every other tile; and CTAs of
few tiles in many waves."""

RANDOM_POINTS = 30
KERNELS = {
    H100: ("fa3", "flashinfer", "xqa"),
    H200: ("fa3", "flashinfer", "xqa"),
    A100: ("fa2", "flashinfer", "xqa"),
    B200: ("trtllm_gen", "flashinfer"),
    L40S: ("fa2", "flashinfer", "xqa"),
    PRO: ("fa2", "flashinfer", "xqa"),
    "rtx4090": ("fa2", "flashinfer"),
}
MOST_TOKENS, LEAST_TOKENS = 160_000, 12_000
"""In all sequences: a full run of that many takes some ten seconds, one of fewer runs whole."""


def random_points(seed: int) -> tuple[Point, ...]:
    """Decode steps drawn over machines, kernels, batch, context (equal or ragged), page size, KV heads per device,
    cold or warm, and shared prefix; the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    points: list[Point] = []
    while len(points) < RANDOM_POINTS:
        hardware = str(rng.choice(list(KERNELS)))
        kernel = str(rng.choice(KERNELS[hardware]))
        batch, context = int(2 ** rng.uniform(0, 8)), 64 * int(2 ** rng.uniform(3, 10))
        page = int(rng.choice([1, 16, 32, 64] if kernel == "flashinfer" else [16, 32, 64]))
        parallel, kind = int(rng.choice([1, 1, 2, 4])), str(rng.choice(["plain", "warm", "prefix", "ragged"]))
        if not LEAST_TOKENS <= batch * context // parallel <= MOST_TOKENS:
            continue
        length = f"uniform:{context // 8}..{2 * context}" if kind == "ragged" else str(context)
        sets = f"batch={batch} context={length} page_tokens={page} tensor_parallel={parallel}"
        sets += f" {WARM}" if kind == "warm" else ""
        sets += f" shared_prefix={context // 128 * 64}" if kind == "prefix" else ""
        points.append(Point(hardware, kernel, sets, seed=int(rng.integers(1, 100))))
    return tuple(points)
