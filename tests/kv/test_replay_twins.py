"""The compiled replay has a plain twin, and the block manager is the same cache seen from a serving
engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

from kernels_ref.block_manager import BlockManager
from kernels_ref.hit_curves import hit_curves, policy_names
from kernels_ref.kvcache import prepare
from kernels_ref.policies.eviction import POLICIES
from kernels_ref.request_trace import read_requests

COUNT = """
import json, sys
from kernels_ref.hit_curves import hit_curves, policy_names
from kernels_ref.kvcache import prepare
from kernels_ref.policies.eviction import POLICIES
from kernels_ref.request_trace import read_requests
load = prepare(read_requests(sys.argv[1]))
points = hit_curves(load, [60], policy_names(list(POLICIES)), [0, 100])
print(json.dumps([(p.policy, p.blocks, p.tier, p.hit_blocks, p.tier_hit_blocks, p.evictions) for p in points]))
"""


def test_uncompiled_code_counts_the_same(shared: Path) -> None:
    path = shared / "data" / "traces" / "agent_taubench.jsonl.gz"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    plain = subprocess.run(
        [sys.executable, "-c", COUNT, str(path)], env=environment, capture_output=True, text=True, check=True
    )
    points = hit_curves(prepare(read_requests(path)), [60], policy_names(list(POLICIES)), [0, 100])
    compiled = [[p.policy, p.blocks, p.tier, p.hit_blocks, p.tier_hit_blocks, p.evictions] for p in points]
    assert json.loads(plain.stdout) == compiled
    assert len(compiled) == 2 * len(POLICIES) + 2 + 1


def test_the_block_manager_hits_every_full_block_seen_before_but_leaves_one_token(shared: Path) -> None:
    trace = read_requests(shared / "data" / "traces" / "sharegpt_llama_31_8b_300.jsonl.gz")
    assert trace.blocks is not None
    manager = BlockManager(20_000, 16)
    seen: set[int] = set()
    for request in range(len(trace)):
        length, ids = int(trace.input_length[request]), trace.blocks.row(request).tolist()
        limit = (length - 1) // 16
        expected = next((n for n, block in enumerate(ids[:limit]) if block not in seen), min(limit, len(ids)))
        assert manager.allocate(request, length, token_hash_ids=ids) == expected * 16
        seen |= set(ids[: length // 16])
        manager.free(request)
    assert manager.stats.evicted_blocks == 0
    assert manager.stats.query_tokens == trace.input_length.sum()
