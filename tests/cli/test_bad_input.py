"""Bad input gives one clear message on standard error and exit code 2, and leaves nothing half-written.

A corpus of broken inputs, each with the message that it must give; no traceback may ever be seen.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.cli.endings import exit_code_of
from sim.cli.main import pagewalk

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must be refused; return what it says. No file may have appeared."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        code = exit_code_of(pagewalk, arguments)
        captured = capsys.readouterr()
        assert code == 2, captured.err
        assert captured.out == ""
        assert "Traceback" not in captured.err
        assert all(len(line) < 1000 for line in captured.err.splitlines())
        assert sorted(tmp_path.rglob("*")) == before
        return captured.err

    return run


FILES = {
    "missing.yaml": (None, "missing.yaml: no such file"),
    "folder.yaml": ("folder", "folder.yaml: is a directory; expected a YAML file"),
    "circle.yaml": ("circle", "circle.yaml: cannot be read: "),
    "binary.yaml": (b"\x89PNG\r\n\x1a\n\x00\x00", "binary.yaml: is a binary file; expected YAML text"),
    "stored.npz": (
        b"PK\x03\x04\x00",
        "stored.npz: is a binary file; expected YAML text; a stored trace is for `pagewalk run` alone",
    ),
    "gzip.yaml": (
        b"\x1f\x8b\x08\x08\xff\xfe",
        "gzip.yaml:1:1: is not UTF-8 text; expected YAML text in UTF-8",
    ),
    "empty.yaml": (b"", "empty.yaml: the file is empty; expected a mapping with "),
    "spaces.yaml": (b"\n  \n# nothing\n", "spaces.yaml: the file is empty; expected a mapping with "),
    "list.yaml": (b"- a\n- b\n", "list.yaml:1:1: found a list; expected a mapping with "),
    "text.yaml": (b"once upon a time\n", 'text.yaml:1:1: found text "once upon a time"; expected a mapping'),
    "syntax.yaml": (b"a: [1,\nb: }\n", "syntax.yaml:2:4: not valid YAML: "),
    "deep.yaml": (b"a: " + b"[" * 5000, "deep.yaml:1:1: nested deeper than 32 levels"),
    "loop.yaml": (
        b"a: &a {b: *a}\n",
        "loop.yaml:1:4: aliases expand to more than 200000 values or 32 levels",
    ),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "command", [("hw", "check"), ("hw", "show"), ("workload", "check"), ("workload", "show"), ("sweep",)]
)
def test_a_file_that_cannot_be_a_config(
    refused: Refused, tmp_path: Path, command: tuple[str, ...], name: str
) -> None:
    content, message = FILES[name]
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content == "folder":
        (tmp_path / name).mkdir()
    elif content == "circle":
        (tmp_path / name).symlink_to(name)
    text = refused(*command, name)
    assert text.startswith(message)
    assert text.count("\n") == 1


HARDWARE = {
    "unknown key": ("smm: {}", "c.yaml:2:1: smm: unknown key; allowed: name, "),
    "misspelt key": ("hbm: {stakcs: 5}", "did you mean stacks?"),
    "wrong unit": ("sm: {sram_kb: 228}", "did you mean sram_kib?"),
    "unit in the value": ("sm: {sram_kib: 228 KiB}", 'c.yaml:2:6: sm.sram_kib: found "228 KiB"; allowed: '),
    "negative size": (
        "l2: {capacity_mib: -50}",
        "c.yaml:2:6: l2.capacity_mib: found -50; allowed: a number above 0",
    ),
    "zero size": (
        "hbm: {stacks: 0}",
        "c.yaml:2:7: hbm.stacks: found 0; allowed: a whole number from 1 to 64",
    ),
    "infinite size": ("hbm: {capacity_gib: .inf}", "c.yaml:2:7: hbm.capacity_gib: found Infinity; allowed: "),
    "no number": ("hbm: {capacity_gib: .nan}", "c.yaml:2:7: hbm.capacity_gib: found NaN; allowed: "),
    "absurd size": ("sm: {count: 1e18}", "c.yaml:2:6: sm.count: found "),
    "absurd digits": (
        "sm: {count: " + "9" * 4000 + "}",
        "c.yaml:2:6: sm.count: found a number of about 3986 digits",
    ),
    "more digits than Python reads": ("sm: {count: " + "9" * 6000 + "}", "c.yaml:2:13: sm.count: found "),
    "off for a number": (
        "sm: {count: off}",
        "c.yaml:2:13: sm.count: found off, which YAML 1.1 reads as false",
    ),
    "base 60": ("sm: {count: 12:30}", "c.yaml:2:13: sm.count: found 12:30, which YAML 1.1 reads in base 60"),
    "key twice": ("name: a\nname: b", "c.yaml:3:1: name: the key appears twice; first in line 2"),
    "python object": (
        "name: !!python/object/apply:os.getcwd []",
        "tag:yaml.org,2002:python/object/apply:os.getcwd",
    ),
    "a port slower than a byte in a microsecond": (
        "gather: {bytes_per_clk: 1e-4}",
        "c.yaml:2:10: gather.bytes_per_clk: found 0.0001 B per clock of 1.53 GHz; allowed: at least 0.001 GB/s",
    ),
    "a clock of 1 Hz": ("sm: {clock_ghz: 1e-9}", "B per clock of 1e-09 GHz; allowed: at least 0.001 GB/s"),
    "memory of 1 B/s": ("hbm: {peak_gb_s: 1e-9}", "allowed: a number from 0.001 to 1000000"),
    "pages of no power of two": (
        "tlb: {page_kib: 100}",
        "c.yaml:2:7: tlb.page_kib: 100; allowed: a power of two",
    ),
    "memory too near": (
        "noc: {latency_ns: 1}",
        "c.yaml:2:7: noc.latency_ns: found 1; allowed: a number from 2.5 to",
    ),
    "source of nothing": (
        "sources: {sm.sram: {kind: estimate, ref: x}}",
        "c.yaml:2:11: sources.sm.sram: unknown",
    ),
}


@pytest.mark.parametrize("what", HARDWARE)
def test_a_machine_that_cannot_be(refused: Refused, tmp_path: Path, what: str) -> None:
    text, message = HARDWARE[what]
    (tmp_path / "c.yaml").write_text(f"base: h100_sxm\n{text}\n")
    assert message in refused("hw", "check", "c.yaml")


WORKLOADS = {
    "no sequences": ("batch: 0", "c.yaml:2:1: batch: found 0; allowed: a whole number from 1 to 65536"),
    "no context": ("context: 0", "c.yaml:2:1: context: found 0; allowed: "),
    "query heads": (
        "model: {layers: 1, q_heads: 10, kv_heads: 4, head_dim: 128, hidden: 64, ffn: 64, vocab: 9}",
        "model.q_heads: found 10 query heads for 4 KV heads; allowed: q_heads a multiple of kv_heads",
    ),
    "query heads after merging": (
        "model: {base: llama3_70b, kv_heads: 7}",
        "c.yaml:2:27: model.kv_heads: found 64 query heads for 7 KV heads; allowed: q_heads a multiple",
    ),
    "unknown model": ("model: llama3_70c", "did you mean llama3_70b?"),
    "unknown kernel": ("kernel: fa5", "c.yaml:2:1: kernel: fa5: no such kernel profile; shipped: "),
    "later kind": ("kind: serving", 'c.yaml:2:1: kind: found "serving"; allowed: one of kernel, step'),
}


@pytest.mark.parametrize("what", WORKLOADS)
def test_a_workload_that_cannot_be(refused: Refused, tmp_path: Path, what: str) -> None:
    text, message = WORKLOADS[what]
    (tmp_path / "c.yaml").write_text(f"base: decode_64x8k\n{text}\n")
    assert message in refused("workload", "check", "c.yaml")


BASES = {
    "does not exist": ("base: ./none.yaml", "a.yaml:1:1: base: none.yaml: no such file"),
    "no such name": ("base: h100_smx", "did you mean h100_sxm?"),
    "circle": ("base: a.yaml", "a.yaml:1:1: base: a.yaml inherits from itself"),
    "long circle": ("base: b.yaml", "b.yaml:1:1: base: a.yaml inherits from itself"),
    "leaves the folders": (
        "base: ../../../../etc/passwd",
        'a.yaml:1:1: base: found "../../../../etc/passwd", which is not a YAML file; allowed: a path',
    ),
    "a folder": ("base: ../", 'a.yaml:1:1: base: found "../", which is not a YAML file'),
    "binary": ("base: x.yaml", "a.yaml:1:1: base: x.yaml: is a binary file; expected YAML text"),
}


@pytest.mark.parametrize("what", BASES)
def test_a_base_that_cannot_be(refused: Refused, tmp_path: Path, what: str) -> None:
    text, message = BASES[what]
    (tmp_path / "a.yaml").write_text(text + "\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\n")
    (tmp_path / "x.yaml").write_bytes(b"\x00\x01")
    assert message in refused("hw", "check", "a.yaml")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sm.sram_kb=3", "command line: --set sm.sram_kb=3: hw.sm.sram_kb: unknown key; allowed: "),
        ("sm.sram_kib=-3", "command line: --set sm.sram_kib=-3: sm.sram_kib: found -3; allowed: "),
        ("sm.sram_kib", "command line: --set sm.sram_kib: expected PATH=VALUE"),
        ("sm.sram_kib=228,512", "a list of values belongs in the axes of a sweep"),
        (
            "l2.private=true",
            "command line: --set l2.private=true: l2.private: found true; allowed: only with",
        ),
    ],
)
def test_a_setting_that_cannot_be(refused: Refused, setting: str, message: str) -> None:
    assert message in refused("hw", "show", "h100_sxm", "--set", setting)


RUNS = {
    "no such workload": (("decode_64x8",), "decode_64x8: no such workload; shipped: "),
    "SRAM too small for any mapping": (
        ("decode_64x8k", "--set", "sm.sram_kib=4"),
        "KiB of 4 KiB SRAM",
    ),
    "more CTAs than any part of an SM has room for": (
        ("decode_64x8k", "--set", "workload.mapping={ctas_per_sm: 128}"),
        "128 CTA(s) per SM asked, room for 3 in SRAM, 3 in registers, 16 in slots",
    ),
    "registers too few for any mapping": (
        ("decode_64x8k", "--set", "sm.regfile_kib=1"),
        "1 CTA(s) per SM asked, room for 2 in SRAM, 0 in registers, 16 in slots",
    ),
    "more KV than capacity": (
        ("decode_64x8k", "--set", "workload.kind=step", "--set", "workload.batch=1024"),
        "allowed on h100_sxm: ",
    ),
    "a tier that is not there": (
        ("decode_64x8k", "--set", "workload.tier={name: cxl7, fraction: 0.5}"),
        "command line: --set workload.tier={name: cxl7, fraction: 0.5}: tier.name: found 'cxl7'; allowed: a tier of",
    ),
    "no such trace": (
        ("./chat.yaml",),
        "chat.yaml:2:11: context.trace: found 'none.csv'; allowed: a shipped trace (sample_chat) or a file",
    ),
    "zero requests": (
        ("decode_64x8k", "--set", "workload.context={trace: ./empty.jsonl, at_s: 60}"),
        "empty.jsonl: no requests; at least one is needed",
    ),
    "wrong block size": (
        ("decode_64x8k", "--set", "workload.context={trace: ./blocks.jsonl, at_s: 60}"),
        "blocks.jsonl:1: hash_ids: found 2 ids for 100 tokens; ",
    ),
    "no trace file": (("none.npz",), "none.npz"),
    "a context shorter than what is inherited": (
        ("prefill_4k", "--set", "workload.context=700"),
        "context: found q_len 4096 in a context of 700; allowed: at most the shortest context "
        "(q_len is set at workloads/prefill_4k.yaml:",
    ),
    "a broken trace file": (("broken.npz",), "broken.npz"),
    "no such fidelity": (
        ("decode_64x8k", "--fidelity", "exact"),
        "'exact' is not one of 'full', 'sampled', 'bound'",
    ),
}


@pytest.mark.parametrize("what", RUNS)
def test_a_run_that_cannot_be(refused: Refused, tmp_path: Path, what: str) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    # 100 tokens in 2 blocks and 900 in 3 agree on no block size.
    (tmp_path / "blocks.jsonl").write_text(
        '{"timestamp": 0, "input_length": 100, "output_length": 1, "hash_ids": [1, 2]}\n'
        '{"timestamp": 9, "input_length": 900, "output_length": 1, "hash_ids": [1, 2, 3]}\n'
    )
    (tmp_path / "chat.yaml").write_text("base: decode_64x8k\ncontext: {trace: none.csv, at_s: 60}\n")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 broken")
    arguments, message = RUNS[what]
    assert message in refused("run", *arguments, "--hw", "h100_sxm")


def test_a_sweep_with_a_bad_value_at_its_end_starts_nothing(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "hardware: h100_sxm\nworkload: decode_64x8k\naxes: {sm.sram_kib: [228, 512, 0]}\n"
    )
    text = refused("sweep", "s.yaml", "--out", "out")
    assert "sm.sram_kib: found 0; allowed: a whole number from 1 to 65536" in text
    assert not (tmp_path / "out").exists()


def test_all_problems_come_at_once(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("base: h100_sxm\nsm: {count: 0}\nhbm: {stacks: 0, hash: no}\nnoc: 3\n")
    assert refused("hw", "check", "c.yaml").count("\n") == 4


def test_a_real_process_shows_no_traceback_either(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("sm: off\n")
    done = subprocess.run(
        [sys.executable, "-c", "from sim.cli.main import main; main()", "hw", "check", "c.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "c.yaml:1:5: sm: found off, which YAML 1.1 reads as false" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", ["nan", "inf", "-nan", "1e999"])
@pytest.mark.parametrize(
    "command",
    [
        ("validate", "attention", "no.csv", "--max-error"),
        ("validate", "dram", "no.csv", "--max-error"),
        ("validate", "kvcache", "no.json", "--traces", ".", "--max-error"),
        ("report", ".", "--model-error"),
    ],
)
def test_a_limit_that_no_error_exceeds_is_refused(
    command: tuple[str, ...], number: str, refused: Refused
) -> None:
    assert f"Invalid value for '{command[-1]}'" in refused(*command, number)


@pytest.mark.parametrize("command", [("workload", "show"), ("trace", "--out", "x.npz")])
def test_a_command_without_machine_refuses_to_set_one(refused: Refused, command: tuple[str, ...]) -> None:
    said = refused(*command, "decode_16x8k", "--set", "sm.count=3")
    assert said == "--set hw.sm.count: this command has no machine; allowed: keys of workload\n"


@pytest.mark.parametrize(
    "command", [("run", "--hw", "h100_sxm"), ("compare", "--hw", "h100_sxm", "--hw", "h200_sxm"), ("trace",)]
)
def test_a_seed_is_as_large_as_in_a_sweep_file(refused: Refused, command: tuple[str, ...]) -> None:
    assert "is not in the range 0<=x<=9223372036854775807" in refused(
        *command, "decode_16x8k", "--seed", "9" * 20
    )


def test_a_machine_given_twice_is_named_by_its_option(refused: Refused) -> None:
    twice = ("--hw", "h100_sxm", "--hw", "h100_sxm")
    assert "--hw: found h100_sxm twice" in refused("compare", "decode_16x8k", *twice)


def test_equal_points_are_named_with_the_line_of_the_axes(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "hardware: h100_sxm\nworkload: decode_64x8k\naxes: {sm.count: [132, 132]}\n"
    )
    assert refused("sweep", "s.yaml").startswith(
        "s.yaml:3:1: axes: points 1 and 2 resolve to the same inputs"
    )


@pytest.mark.parametrize("command", [("hw", "show", "h100_sxm"), ("characterise", "--hw", "h100_sxm")])
def test_a_command_without_workload_refuses_to_set_one(refused: Refused, command: tuple[str, ...]) -> None:
    assert "--set workload.batch: this command has no workload" in refused(
        *command, "--set", "workload.batch=3"
    )
