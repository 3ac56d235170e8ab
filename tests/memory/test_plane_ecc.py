"""Inline ECC on the memory plane: what it moves and costs for pieces of any length, at both grains."""

from pathlib import Path

import numpy as np
import pytest

from sim.config.hardware import Hardware
from sim.config.load import load_hardware
from sim.errors import InputError
from sim.memory import params, peaks
from sim.memory.fetches import FetchTable
from tests.memory.command_checker import ACT, RD, WR
from tests.memory.conftest import changed, drive, table
from tests.memory.plain_twin import digest, plain_digest
from tests.memory.test_plane_commands import broken_rules, logged
from tests.memory.test_plane_invariants import assert_balanced, mixed

BLOCK, ACCESS = 512, 32
GRAINS = ("train", "exact")
MIB = 1 << 20


@pytest.fixture(scope="session")
def gddr6(small: Hardware) -> Hardware:
    """Two channels of GDDR6 at 28 GB/s each behind SMs that ask for more than they give."""
    return changed(
        small,
        hbm__standard="GDDR6",
        hbm__pin_gbit_s=14.0,
        hbm__inline_ecc_bytes=BLOCK,
        sm__max_inflight_kib=256,
        gather__issue_clk=1,
    )


def scattered(size: int, total: int) -> FetchTable:
    """`total` bytes in pieces, 16 a fetch, each the first one of a block of its own; the blocks in random order."""
    order = np.random.default_rng(0).permutation(total // size)
    return table([[(int(block) * BLOCK, size) for block in part] for part in order.reshape(-1, 16)])


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize(("size", "share"), [(512, 16 / 17), (256, 8 / 9), (128, 4 / 5)])
def test_pieces_of_a_block_get_the_share_of_the_bus_that_their_check_bits_leave(
    gddr6: Hardware, grain: str, size: int, share: float
) -> None:
    """A bus that is never idle moves size / 32 accesses of data for one of check bits. What keeps it idle without ECC
    (3% at 128 B: rows are opened for four accesses each) is less in its way with it.
    """
    fetches = scattered(size, MIB)
    on, off = (
        drive(changed(gddr6, hbm__grain=grain, hbm__inline_ecc_bytes=n), fetches, lambda f: f % 4, depth=8)
        for n in (BLOCK, 0)
    )
    assert on.gb_s() / off.gb_s() == pytest.approx(share, rel=0.01)
    assert 0.96 * share < on.gb_s() / peaks.peak_gb_s(gddr6.hbm) <= share
    checks = MIB // size * ACCESS
    assert checks <= on.counter("hbm_ecc") <= (1.01 if grain == "exact" else 1) * checks
    busy = on.counter("hbm_busy") / params.build(gddr6)[params.Param.BURST]
    assert busy == (on.counter("hbm_read") + on.counter("hbm_ecc")) / ACCESS


@pytest.mark.parametrize("grain", GRAINS)
def test_pieces_of_one_block_that_follow_one_another_share_its_check_bits(
    gddr6: Hardware, grain: str
) -> None:
    fetches = table([[(at, 128) for at in range(0, 64 * 1024, 128)]])
    outcome = drive(changed(gddr6, hbm__grain=grain), fetches, lambda f: 0)
    assert outcome.counter("hbm_ecc") == 128 * ACCESS


def test_a_second_block_of_the_bank_takes_the_place_of_the_first_ones_check_bits(gddr6: Hardware) -> None:
    """A row of 2 KiB has four blocks, each 1 KiB of addresses from the next, as there are two channels."""
    again = [[(0, 32)], [(32, 32)], [(1024, 32)], [(64, 32)]]
    outcome = drive(gddr6, table(again), lambda f: 0)
    assert outcome.counter("hbm_read") == 4 * 32
    assert outcome.counter("hbm_ecc") == 3 * ACCESS


@pytest.mark.parametrize("grain", GRAINS)
def test_a_write_costs_one_access_a_block_whether_it_fills_the_block_or_not(
    gddr6: Hardware, grain: str
) -> None:
    """Blocks are 1 KiB apart, so that all lie in one of the two channels, twice as many as L2 holds: what is pushed out
    is written, and nothing is read for it.
    """
    for size in (32, 512):
        hw = changed(gddr6, hbm__grain=grain, l2__capacity_mib=0.25)
        count = 4096
        fetches = table([[(block * 1024, size)] for block in range(count)], writes=range(count))
        outcome = drive(hw, fetches, lambda f: f % 4, depth=2)
        written = outcome.counter("hbm_write") // size
        assert written > count // 2
        assert outcome.counter("hbm_read") == 0
        assert outcome.counter("hbm_ecc") == written * ACCESS


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("seed", [1, 2])
def test_bytes_balance_and_every_check_bit_is_a_command_in_an_open_row(
    gddr6: Hardware, grain: str, seed: int
) -> None:
    hw = changed(gddr6, hbm__grain=grain, hbm__refresh="per_bank", l2__capacity_mib=0.25)
    outcome, log = logged(hw, seed)
    assert broken_rules(hw, log)[:5] == []
    accesses = log[(log[:, 2] == RD) | (log[:, 2] == WR), 5].sum()
    moved = outcome.counter("hbm_read") + outcome.counter("hbm_write")
    assert accesses * ACCESS == moved + outcome.counter("hbm_ecc")
    assert outcome.counter("hbm_ecc") >= moved // 16
    assert_balanced(outcome, outcome.table)


def test_check_bits_open_no_row(gddr6: Hardware) -> None:
    """One SM that takes one fetch after the other."""
    fetches = scattered(128, MIB // 16)
    opened = []
    for block in (0, BLOCK):
        hw = changed(gddr6, hbm__inline_ecc_bytes=block)
        log = drive(hw, fetches, lambda f: 0, log_rows=20_000).plane.commands()
        opened.append(int((log[:, 2] == ACT).sum()))
    assert opened[0] == opened[1]


def test_a_machine_without_inline_ecc_has_no_counter_of_it(small: Hardware) -> None:
    outcome = drive(small, mixed(4, count=40), lambda f: f % 4)
    assert "hbm_ecc" not in outcome.plane.counters


@pytest.mark.parametrize("grain", GRAINS)
def test_plain_python_moves_the_same_check_bits_as_compiled_code(
    gddr6: Hardware, repo: Path, grain: str
) -> None:
    hw = changed(gddr6, hbm__grain=grain, hbm__inline_ecc_bytes=256, l2__capacity_mib=0.25)
    assert plain_digest(hw, 7, repo) == digest(hw, 7)


def test_the_peak_for_data_is_that_of_whole_blocks(gddr6: Hardware) -> None:
    """Two 16-bit channels at 14 Gb/s are 56 GB/s, of which 16 of 17 accesses are data."""
    assert peaks.data_peak_gb_s(gddr6.hbm) == pytest.approx(56 * 16 / 17)
    assert peaks.data_peak_gb_s(changed(gddr6, hbm__inline_ecc_bytes=0).hbm) == pytest.approx(56)


@pytest.mark.parametrize("value", ["100", "-512", "2048", "512.5", "true", "some"])
def test_a_block_that_no_access_can_hold_the_check_bits_of_is_refused(value: str) -> None:
    with pytest.raises(InputError, match=r"hbm\.inline_ecc_bytes.*allowed: .*512"):
        load_hardware("l40s", (f"hw.hbm.inline_ecc_bytes={value}",))
