"""Every number has a source, and a source speaks of the number that its own file knew."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sim.config.load import load_hardware
from sim.config.provenance import unsourced
from sim.errors import InputError

Write = Callable[[str, str], None]
SOURCE = "{kind: estimate, ref: a guess}"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def put(name: str, text: str) -> None:
        (tmp_path / name).write_text(text)

    return put


def missing(name: str, *sets: str) -> list[str]:
    resolved = load_hardware(name, sets)
    return unsourced(resolved.spec, resolved.raw)


def test_an_overridden_number_loses_the_source_of_its_base(write: Write) -> None:
    write("a.yaml", "base: h100_sxm\nsm: {sram_kib: 512}\nhbm: {peak_gb_s: 5000}\n")
    assert missing("a.yaml") == ["sm.sram_kib", "hbm.peak_gb_s"]


def test_the_child_may_bring_its_own_source(write: Write) -> None:
    write("a.yaml", f"base: h100_sxm\nsm: {{sram_kib: 512}}\nsources: {{sm.sram_kib: {SOURCE}}}\n")
    resolved = load_hardware("a.yaml")
    assert missing("a.yaml") == []
    assert resolved.spec.sources["sm.sram_kib"].ref == "a guess"


def test_a_source_of_a_section_covers_what_its_own_file_sets(write: Write) -> None:
    base_source = load_hardware("h100_sxm").spec.sources["hbm.capacity_gib"]
    write("a.yaml", f"base: h100_sxm\nhbm: {{peak_gb_s: 5000}}\nsources: {{hbm: {SOURCE}}}\n")
    sources = load_hardware("a.yaml").spec.sources
    assert sources["hbm.peak_gb_s"].ref == "a guess"
    assert sources["hbm.capacity_gib"] == base_source


def test_the_closest_source_of_a_file_wins(write: Write) -> None:
    close = "{kind: proposal, ref: close}"
    text = "base: h100_sxm\nhbm: {peak_gb_s: 5000, capacity_gib: 99}\n"
    write("a.yaml", text + f"sources: {{hbm.peak_gb_s: {close}, hbm: {SOURCE}}}\n")
    sources = load_hardware("a.yaml").spec.sources
    assert (sources["hbm.peak_gb_s"].ref, sources["hbm.capacity_gib"].ref) == ("close", "a guess")


def test_an_override_that_changes_a_number_drops_its_source() -> None:
    assert missing("h100_sxm", "sm.sram_kib=512") == ["sm.sram_kib"]
    assert missing("h100_sxm", "sm.sram_kib=228") == []
    assert missing("h100_sxm", "sm={sram_kib: 512}") == ["sm.sram_kib"]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (
            "{sm.cont: {kind: estimate, ref: x}}",
            "c.yaml:2:11: sources.sm.cont: unknown key; allowed: count, ",
        ),
        ("3", "c.yaml:2:1: sources: found 3; allowed: a mapping of key paths"),
        (
            "{sm.count: 3}",
            "c.yaml:2:11: sources.sm.count: found 3; allowed: a mapping with the keys kind, ref, range",
        ),
        (
            "{sm.count: {kind: guess, ref: x}}",
            'c.yaml:2:22: sources.sm.count.kind: found "guess"; allowed: one of ',
        ),
        (
            "{sm.count: {kind: estimate}}",
            "c.yaml:2:11: sources.sm.count.ref: missing; needed: text, not empty",
        ),
        (
            "{sm.count: {kind: estimate, ref: x, range: [3, 1]}}",
            "c.yaml:2:46: sources.sm.count.range: found [3.0, 1.0",
        ),
        (
            "{sm.count: {kind: estimate, ref: x, range: [3, 9]}}",
            "c.yaml:2:11: sources.sm.count.range: found [3.0, 9.0",
        ),
        (
            "{hbm: {kind: estimate, ref: x, range: [3, 9]}}",
            "c.yaml:2:11: sources.hbm.range: a range belongs to one",
        ),
    ],
)
def test_a_source_that_cannot_be_right_is_refused(write: Write, sources: str, message: str) -> None:
    write("c.yaml", f"base: h100_sxm\nsources: {sources}\n")
    with pytest.raises(InputError) as caught:
        load_hardware("c.yaml")
    assert str(caught.value).startswith(message)


def test_a_source_may_use_the_long_key_path(write: Write) -> None:
    write("a.yaml", f"base: h100_sxm\nsources: {{hw.sm.count: {SOURCE}}}\n")
    assert load_hardware("a.yaml").spec.sources["sm.count"].ref == "a guess"
