"""Lines of the block table at tile grain: which line each CTA reads first."""

import numpy as np

from sim.attention_run import Task, coarse_kernel, find_mapping
from sim.cli.job import engine_step
from sim.coarse.estimate import Coarse
from sim.config.load import load_hardware, load_profile, load_workload, model_of
from sim.memory.addresses import build_address_map

HARDWARE = load_hardware("h100_sxm", ("hw.l2.capacity_mib=8", "hw.l2.far_copies=false")).spec


def kernel_of(context: int, state: str) -> Coarse:
    """Two sequences in pages of 16 tokens, so that 32 entries, a line, cover 512 of them."""
    sets = ("batch=2", f"context={context}", "page_tokens=16", f"l2_state={state}", "kernel=fa3")
    spec = load_workload("decode_16x8k", tuple(f"workload.{text}" for text in sets)).spec
    task = Task(HARDWARE, spec, "gqa", engine_step(spec, model_of(spec), 0, HARDWARE), [load_profile("fa3")])
    addresses = build_address_map(task.step, spec.layout, spec.table_entry_bytes)
    return coarse_kernel(task, addresses, find_mapping(task, addresses).candidate.cut)[1]


def test_ctas_of_all_heads_share_the_lines_of_their_sequence() -> None:
    grid = kernel_of(1024, "cold").grid
    assert set(grid.tables.tolist()) <= set(range(2 * 1024 // 512))
    heads = 8
    assert np.bincount(grid.tables).min() >= heads
