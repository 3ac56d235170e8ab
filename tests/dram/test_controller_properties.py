"""What holds for every controller and stream: legal commands, balanced bytes, causality, cuts, the twin."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sim.memory.dram.controller import ExactDram
from tests.dram.cases import CASES, Case, dram_for, stream_for
from tests.dram.timing_checker import judge

IDS = [case.name for case in CASES]
STREAMS = (
    {"run_bytes": 64, "write_frac": 0.3},
    {"run_bytes": 1024, "write_frac": 0.1, "interleave": 4},
    {"run_bytes": 0, "write_frac": 0.5, "write_unit": "block16"},
    {"run_bytes": 256, "write_frac": 0.0, "arrival": "poisson", "load": 0.5, "peak_gb_s": 30.0},
)


def fingerprint(dram: ExactDram) -> str:
    h = hashlib.sha256()
    for column in (dram.admitted, dram.taken, dram.done, dram.commands()):
        h.update(np.ascontiguousarray(column).tobytes())
    h.update(repr(dram.counts).encode())
    return h.hexdigest()


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize("kind", range(len(STREAMS)))
def test_no_command_breaks_a_timing_rule_of_the_datasheet(case: Case, kind: int) -> None:
    stream = stream_for(case, seed=kind, n=3000, **STREAMS[kind])
    dram = dram_for(case, stream, window=0 if stream.t_ps.any() else 200, log_commands=60_000)
    dram.run_to_end(tail=2000)
    log = dram.commands()
    assert len(log) > 6000  # the checker saw the run, not a truncated piece of it
    assert judge(case.config, log.tolist())[:5] == []


def test_the_checker_finds_a_command_that_is_one_tick_early() -> None:
    case = CASES[3]
    dram = dram_for(case, stream_for(case, seed=1, n=500), window=64, log_commands=10_000)
    dram.run_to_end()
    log = dram.commands()
    reads = np.flatnonzero(log[:, 2] == 3)
    caught = 0
    for i in reads[5:60]:
        bent = log.copy()
        bent[i, 0] -= 1
        caught += judge(case.config, bent.tolist()) != []
    assert caught > 20  # not every read is at its limit, many are


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_bytes_requested_equal_bytes_moved_by_column_commands(case: Case) -> None:
    # Distinct addresses (one pass of sequential requests), so nothing merges or forwards.
    stream = stream_for(case, seed=3, n=2500, run_bytes=0, write_frac=0.3)
    dram = dram_for(case, stream, window=128)
    dram.run_to_end(tail=200_000)
    held_back = 64 * int(stream.wr.sum()) - dram.counts.writes * case.config.access_bytes
    assert dram.counts.reads * case.config.access_bytes == 64 * int((~stream.wr).sum())
    # Only the bank-queue controller may keep writes for ever: up to `drain_min` each channel.
    limit = case.channels * case.config.drain_min if case.config.policy == "bank_queues" else 0
    assert 0 <= held_back <= limit * case.config.access_bytes


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_nothing_completes_before_its_cause_and_the_window_is_kept(case: Case) -> None:
    window = 48
    stream = stream_for(case, seed=5, n=3000, run_bytes=128)
    dram = dram_for(case, stream, window)
    dram.run_to_end()
    assert dram.finished == 3000
    assert (dram.admitted >= dram.arrival).all()
    assert (np.diff(dram.admitted) >= 0).all()
    assert (dram.taken >= dram.admitted).all()
    reads = ~stream.wr
    # A read needs a tick to be seen and the read latency, unless a queued write or read serves it.
    fastest = (dram.done - dram.taken)[reads]
    assert (fastest >= 1).all()
    assert np.mean(fastest >= case.config.read_latency + 1) > 0.99
    times = np.concatenate([dram.admitted, dram.done])
    change = np.repeat([1, -1], 3000)
    order = np.lexsort((change, times))  # a completion of a tick frees its place before the next admission
    assert np.cumsum(change[order]).max() <= window


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize("mean_cut", [1, 37, 5000])
def test_cutting_a_run_into_windows_changes_no_tick(case: Case, mean_cut: int) -> None:
    rng = np.random.default_rng(mean_cut)
    for kind, window in ((0, 16), (1, 0), (3, 0)):
        stream = stream_for(case, seed=11, n=400, **STREAMS[kind])
        whole = dram_for(case, stream, window, log_commands=20_000)
        whole.run_to_end(tail=300)
        cut = dram_for(case, stream, window, log_commands=20_000)
        end, at, windows = whole.last_done + 301, 0, 0
        while at < end:
            at = min(end, at + int(rng.integers(1, 2 * mean_cut + 1)))
            cut.run(at)
            windows += 1
        assert windows >= end // (2 * mean_cut)
        assert fingerprint(cut) == fingerprint(whole)


def test_compiled_code_equals_its_plain_python_twin_to_the_bit() -> None:
    repo = Path(__file__).resolve().parents[2]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(repo)}
    plain = subprocess.run(
        [sys.executable, "-m", "tests.dram.twin"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=repo,
        check=True,
    )
    from tests.dram.twin import fingerprints

    assert plain.stdout.split() == fingerprints()


def test_stored_compiled_code_is_keyed_by_the_whole_folder_and_what_it_shares() -> None:
    from sim.memory import jit
    from sim.memory.dram import layout, source

    folder = Path(layout.__file__).parent
    before = jit.source_digest(folder)
    assert source.run_frfcfs._cache._cache_file._source_stamp == before  # type: ignore[attr-defined]
    # Any byte of any file of the folder, the constants included, enters the key, and what all compiled code shares.
    shared = [folder.parent / f"{name}.py" for name in ("bits", "jit", "one_module", "pointer")]
    everything = b"".join(p.read_bytes() for p in sorted([*folder.glob("*.py"), *shared]))
    assert before == hashlib.sha256(everything).hexdigest()
