"""Rules between the keys of a kernel profile: what has no effect is refused, not ignored."""

from pathlib import Path

import pytest

from sim.config.load import load_profile
from sim.errors import InputError


def problem(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_profile(str(path))
    (found,) = caught.value.problems
    return found


@pytest.mark.parametrize(
    ("base", "kind"), [("fa1_prefill", "kv_outer"), ("standard", "standard"), ("ssm_update", "ssm")]
)
def test_operands_are_loaded_by_flash_kernels_only(tmp_path: Path, base: str, kind: str) -> None:
    found = problem(tmp_path, f"base: {base}\nname: mine\nmma_operands: register\n")
    text = f"mma_operands: found register for {kind}; allowed: sram (loads are part of its tile_issue_clk)"
    assert f"mine.yaml:3:1: {text}" in found


def test_the_algorithm_is_blamed_where_it_was_set_last(tmp_path: Path) -> None:
    found = problem(tmp_path, "base: fa2_prefill\nname: mine\nalgorithm: standard\n")
    assert "mine.yaml:3:1: algorithm: found register for standard; allowed: sram" in found


def test_a_head_size_has_one_entry_of_tiles(tmp_path: Path) -> None:
    found = problem(
        tmp_path,
        "base: fa3\nname: mine\nhead_tiles:\n"
        "  - {head_dim: 64, m_tile: 64}\n  - {head_dim: 256, m_tile: 64}\n  - {head_dim: 64, tile_tokens: [32]}\n",
    )
    assert "mine.yaml:6:6: head_tiles[2].head_dim: found 64 twice; allowed: each head size once" in found


def test_row_tiles_ascend_from_m_tile(tmp_path: Path) -> None:
    found = problem(tmp_path, "base: flashinfer\nname: mine\nm_tile: 32\n")
    assert "mine.yaml:3:1: m_tile: found [16, 64, 128] with m_tile 32 and m_align 16" in found
    found = problem(tmp_path, "base: flashinfer\nname: mine\nrow_tiles: [16, 16]\n")
    assert "mine.yaml:3:1: row_tiles: found [16, 16]; allowed: each larger than the one before" in found


def test_only_resident_ctas_run_ahead(tmp_path: Path) -> None:
    found = problem(tmp_path, "base: fa2_prefill\nname: mine\nruns_ahead: true\n")
    text = "runs_ahead: found true for grid; allowed: with resident CTAs (counter, stride)"
    assert found.endswith(f"mine.yaml:3:1: {text}")


def test_an_instruction_is_one_of_a_list(tmp_path: Path) -> None:
    found = problem(tmp_path, "base: fa3\nname: mine\nmma_instruction: wmma\n")
    assert 'mma_instruction: found "wmma"; allowed: one of any, mma_sync, wgmma, tcgen05, mfma' in found
