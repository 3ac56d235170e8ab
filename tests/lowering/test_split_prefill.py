"""FlashInfer's prefill over pages divides a long context where few new tokens give few CTAs."""

import pytest

from sim.cli.job import simulate
from tests.validation.rows import mapped_row


@pytest.mark.parametrize(
    ("batch", "q_len", "context", "splits"),
    [
        # 64 tokens x 4 heads of a KV head are 256 rows, 2 tiles of 128: 2 x 8 x 4 sequences = 64 CTAs on 2 x 170. The
        # shortest chunk whose CTAs fit: 5 x 64 = 320, 6 would be 384. 1,088 tokens are 68 pages, 14 a chunk.
        (4, 64, 1088, 5),
        # 8 tiles of 8 KV heads and 4 sequences are 256: twice that does not fit.
        (4, 256, 1088, 1),
        # 2 x 8 CTAs: 20 chunks fit 340, but none is shorter than 128 tokens: 1,088 / 128 = 8.5.
        (1, 64, 1088, 9),
    ],
)
def test_chunks_fill_two_ctas_an_sm(batch: int, q_len: int, context: int, splits: int) -> None:
    case = mapped_row(
        gpu="RTX 5090", kernel="FlashInfer BatchPrefillWithPagedKVCacheWrapper", phase="prefill", batch=batch,
        q_len=q_len, context=context, page_size=16, causal=True, value=1e3,
    )  # fmt: skip
    assert simulate(case.hw, case.workload).to_dict()["mapping"]["splits"] == splits
