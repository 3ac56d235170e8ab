"""`run`, `trace`: the contracts that other programs read."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from sim.causes import CAUSES
from sim.cli.run import run
from sim.cli.run_screen import BINARY, BYTES, ENERGY, scaled
from sim.cli.trace import trace
from sim.errors import InputError
from sim.whatif import IDEALS, MEANINGS

SMALL = ["--set", "workload.batch=2", "--set", "workload.context=512"]
KEYS = [
    "schema",
    "pagewalk_version",
    "seed",
    "fidelity",
    "hardware",
    "workload",
    "mapping",
    "time_ns",
    "steps",
    "tokens",
    "bounds_ns",
    "bound_ns",
    "speed_of_light",
    "bytes",
    "bandwidth_gb_s",
    "utilisation",
    "stalls",
    "counters",
    "kv",
    "energy_j",
    "area_mm2",
    "sampling",
    "what_if",
    "verify",
    "wall_s",
]


def invoke(*arguments: str) -> Result:
    done = CliRunner().invoke(run, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_json_is_one_object_with_every_key_of_the_contract() -> None:
    data = json.loads(invoke("decode_16x8k", "--hw", "h100_sxm", "--json", *SMALL).stdout)
    assert list(data) == KEYS
    assert data["schema"] == "pagewalk.result/1"
    assert data["steps"] == 1
    assert data["tokens"] is None
    assert data["bound_ns"] == max(data["bounds_ns"].values())
    assert data["speed_of_light"] == pytest.approx(data["bound_ns"] / data["time_ns"])
    assert set(data["stalls"]) == set(CAUSES)
    assert {"hbm_read", "hbm_write", "l2_read", "l2_hit", "sram_fill", "block_table", "scales"} <= set(
        data["bytes"]
    )
    assert {"hbm", "l2"} <= set(data["bandwidth_gb_s"])
    assert {"hbm", "tensor", "exp", "unpack", "noc"} <= set(data["utilisation"])
    assert {"hbm", "tensor", "l2", "sram", "noc"} <= set(data["bounds_ns"])
    assert {"capacity_bytes", "used_bytes", "waste_fraction", "metadata_fraction"} <= set(data["kv"])
    assert data["hardware"]["name"] == "h100_sxm"
    assert data["workload"]["name"] == "decode_16x8k"


def test_bound_fidelity_has_the_same_keys_and_no_stalls() -> None:
    data = json.loads(invoke("decode_16x8k", "--hw", "h100_sxm", "--json", "--fidelity", "bound").stdout)
    assert list(data) == KEYS
    assert data["stalls"] is None
    assert data["fidelity"] == "bound"


def test_a_decode_step_counts_a_token_per_sequence() -> None:
    sets = ["--set", "workload.batch=2", "--set", "workload.context=256", "--set", "workload.model.layers=2"]
    data = json.loads(invoke("step_llama3_8b", "--hw", "h100_sxm", "--json", *sets).stdout)
    assert data["tokens"] == 2
    assert data["stalls"]["tensor"] > 0


def test_what_if_names_every_ideal_of_the_closed_list() -> None:
    data = json.loads(invoke("decode_16x8k", "--hw", "h100_sxm", "--json", "--what-if", *SMALL).stdout)
    assert set(data["what_if"]) == {
        "free_translation", "free_unpack", "infinite_sram", "infinite_l2", "double_hbm", "zero_latency_hbm",
        "free_launch", "free_barriers", "double_tensor", "free_gather", "infinite_tier_bandwidth",
    }  # fmt: skip
    assert data["what_if"]["free_launch"] > 1


def test_the_first_screen_says_verdict_time_resources_stalls_and_files(tmp_path: Path) -> None:
    out = tmp_path / "run"
    text = invoke("decode_16x8k", "--hw", "h100_sxm", *SMALL, "--out", str(out)).stdout
    assert "of the tightest bound" in text.splitlines()[0]
    for word in ("time", "of peak", "SM time", "hbm_queue", str(out / "result.json")):
        assert word in text
    assert json.loads((out / "result.json").read_text())["schema"] == "pagewalk.result/1"
    assert "sm:" in (out / "config.resolved.yaml").read_text()


def test_the_first_screen_says_what_was_set(tmp_path: Path) -> None:
    text = invoke("decode_16x8k", "--hw", "h100_sxm", *SMALL).stdout
    assert text.splitlines()[2] == f"changed     {', '.join(SMALL[1::2])}"
    assert "changed" not in invoke("decode_1x8k", "--hw", "h100_sxm", "--fidelity", "bound").stdout


@pytest.mark.parametrize(
    ("value", "units", "text"),
    [
        (537_100_000, BYTES, "0.5371 GB (10^9 B)"),
        (99_000_000, BYTES, "99 MB (10^6 B)"),
        (64, BYTES, "64 B"),
        (1536, BINARY, "1.5 KiB"),
        (6.4e-8, ENERGY, "64 nJ"),
        (0, BYTES, "0 B"),
    ],
)
def test_an_amount_is_shown_in_a_unit_of_its_size(
    value: float, units: tuple[tuple[str, float], ...], text: str
) -> None:
    assert scaled(value, units) == text


def test_a_stored_trace_gives_the_same_result_to_the_bit(tmp_path: Path) -> None:
    file = tmp_path / "chat.npz"
    made = CliRunner().invoke(trace, ["decode_chat", "--out", str(file), "--set", "workload.batch=4"])
    assert made.exit_code == 0, made.output
    stored = json.loads(invoke(str(file), "--hw", "h100_sxm", "--json").stdout)
    direct = json.loads(
        invoke("decode_chat", "--hw", "h100_sxm", "--json", "--set", "workload.batch=4").stdout
    )
    for key in ("time_ns", "bytes", "stalls", "counters", "bounds_ns", "kv", "mapping"):
        assert stored[key] == direct[key]


def test_options_of_later_issues_are_refused() -> None:
    for arguments in (["--fidelity", "exact"], ["--timeline", "x.json"]):
        done = CliRunner().invoke(run, ["decode_16x8k", "--hw", "h100_sxm", *arguments])
        assert done.exit_code == 2


def test_every_what_if_has_a_meaning_and_the_page_lists_it() -> None:
    assert list(MEANINGS) == list(IDEALS)
    page = (Path(__file__).parents[2] / "docs" / "reports.md").read_text()
    assert all(f"| `{name}` | {text} |" in page for name, text in MEANINGS.items())


def test_a_trace_whose_workload_speaks_of_another_step_is_refused(tmp_path: Path) -> None:
    file, other = tmp_path / "chat.npz", tmp_path / "other.npz"
    made = ["decode_chat", "--out", str(file), "--set", "workload.batch=4"]
    assert CliRunner().invoke(trace, made).exit_code == 0
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    spec = json.loads(arrays["workload"].tobytes())

    def refusal(**changes: object) -> str:
        text = json.dumps(spec | changes).encode()
        np.savez(other, **arrays | {"workload": np.frombuffer(text, np.uint8)})
        done = CliRunner().invoke(run, [str(other), "--hw", "h100_sxm", "--fidelity", "bound"])
        assert isinstance(done.exception, InputError)
        return str(done.exception)

    assert refusal(page_tokens=32).startswith(
        f"{other}: damaged trace: page_tokens: found 32 in its workload and 16"
    )
    assert "kv_format: found ('int8',) in its workload and ('fp16',) in its step" in refusal(kv_format="int8")
    assert "model: found Geometry(" in refusal(causal=False)
    # A file of its own holds the workload while it is checked: its name says nothing to the user.
    assert refusal(batch=0).startswith(f"{other}:")


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (["context=[1,1]"], "context: found [1, 1]; allowed: [64, 96]"),
        (["page_order=shuffled"], 'page_order: found "shuffled"; allowed: "sequential"'),
        (["tier.fraction=0.75", "tier.policy=prefetch"], "tier.fraction: found 0.75; allowed: 0.5"),
        (["tier=null"], 'tier: found null; allowed: {"name": "host", "fraction": 0.5, "policy": "reactive"}'),
        (["model.hidden=64"], "model.hidden: found 64; allowed: 4096"),
        (["tier.policy=prefetch", "layout=NHD", "l2_state=warm"], None),
    ],
)
def test_a_setting_that_a_stored_step_contradicts_is_refused_by_its_key(
    tmp_path: Path, settings: list[str], refused: str | None
) -> None:
    """It had been taken, shown as a change, and had no effect."""
    work = tmp_path / "w.yaml"
    work.write_text(
        "kind: kernel\nmodel: llama3_8b\nphase: decode\nbatch: 2\ncontext: [64, 96]\npage_order: sequential\n"
        "tier: {name: host, fraction: 0.5}\n"
    )
    file = tmp_path / "w.npz"
    assert CliRunner().invoke(trace, [str(work), "--out", str(file)]).exit_code == 0
    sets = [part for setting in settings for part in ("--set", f"workload.{setting}")]
    done = CliRunner().invoke(run, [str(file), "--hw", "h200_tiered", "--fidelity", "bound", *sets])
    if refused is None:
        assert done.exit_code == 0, done.output
    else:
        assert str(done.exception) == f"--set workload.{refused}, as the trace {file} was made"
