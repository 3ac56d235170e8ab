"""`pagewalk kv` and `pagewalk validate kvcache` as a user meets them."""

import json
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from kernels_ref.errors import InputError
from kernels_ref.policies.tiering import ADMISSION, INCLUSION, WRITING
from sim.cli.kv import kv
from sim.cli.validate_kvcache import kvcache


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Three prompts of 16-token blocks: the third repeats the first."""
    rows = [(40, [1, 2, 3]), (20, [4, 5]), (40, [1, 2, 3])]
    path = tmp_path / "tiny.jsonl"
    path.write_text(
        "".join(
            json.dumps({"timestamp": 0, "input_length": n, "output_length": 1, "hash_ids": ids}) + "\n"
            for n, ids in rows
        )
    )
    return path


def call(command: object, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments])  # type: ignore[arg-type]


def test_json_holds_policies_tiers_and_bounds_in_tokens_and_blocks(trace: Path) -> None:
    result = call(kv, trace, "--blocks", "3,5", "--policy", "lru,fifo", "--tier", "0,2", "--json")
    document = json.loads(result.stdout)
    assert (document["schema"], document["requests"], document["block_tokens"]) == ("pagewalk.kv/1", 3, 16)
    rows = {(r["policy"], r["blocks"], r["tier"]): r for r in document["rows"]}
    # Five blocks hold everything: the third prompt hits 3 of 8 blocks and 40 of 100 tokens.
    assert rows["lru_tail_first", 5, 0]["block_hit_rate"] == 3 / 8
    assert rows["lru_tail_first", 5, 0]["token_hit_rate"] == 0.4
    # Three blocks: 4 and 5 push out 3 and 2; the tier of two blocks has them.
    assert rows["lru_tail_first", 3, 0]["hit_blocks"] == 1
    assert rows["lru_tail_first", 3, 2]["tier_hit_blocks"] == 2
    assert rows["optimum", 3, 0]["hit_blocks"] == 3
    assert rows["infinite", 5, 0]["tier_hit_blocks"] is None


def test_the_table_and_the_plots_are_written_the_same_each_time(trace: Path, tmp_path: Path) -> None:
    first = call(kv, trace, "--blocks", "3,5", "--out", tmp_path / "a")
    call(kv, trace, "--blocks", "3,5", "--out", tmp_path / "b")
    assert first.exit_code == 0
    assert "lru_tail_first" in first.stdout
    for name in ("hit_rate.png", "hit_rate.svg", "kv.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_capacities_are_written_out_on_the_axis(trace: Path, tmp_path: Path) -> None:
    call(kv, trace, "--blocks", "500,2000", "--out", tmp_path / "out")
    drawn = (tmp_path / "out" / "hit_rate.svg").read_text()
    assert "<!-- 1,000 -->" in drawn
    assert "mathdefault" not in drawn


def test_the_switches_of_the_tier_change_its_hits_and_its_writes(trace: Path) -> None:
    switches = ["--inclusion", "inclusive", "--write", "through", "--json"]
    rows = json.loads(call(kv, trace, "--blocks", "3", "--tier", "2", *switches).stdout)["rows"]
    # Each of 8 uses of 5 blocks goes through; of blocks 2 and 3 nothing is left below when they are asked
    # for again.
    assert rows[0]["offloaded_blocks"] >= 5
    assert rows[0]["tier_hit_blocks"] == 0


def test_a_smaller_page_is_asked_for_by_its_tokens(trace: Path) -> None:
    document = json.loads(call(kv, trace, "--blocks", "20", "--block-tokens", "4", "--json").stdout)
    # 40 tokens are 10 pages of 4, 20 are 5; the third prompt hits all its ten.
    assert (document["unique_blocks"], document["rows"][0]["hit_blocks"]) == (15, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--blocks", "4", "--block-tokens", "5"], "block_tokens: found 5; the trace has 16-token blocks"),
        (["--blocks", "4", "--policy", "clock"], "policy: found clock; allowed: lru_tail_first"),
        (["--blocks", "4", "--block-tokens", "0"], "block_tokens: found 0; the trace has 16-token blocks"),
        (["--blocks", "4", "--write", "through"], "write, admission: found without a tier"),
        (
            ["--blocks", "4", "--tier", "2", "--write", "through"],
            "write policy: found through with exclusive tiers",
        ),
    ],
)
def test_bad_requests_are_named(trace: Path, arguments: list[str], message: str) -> None:
    result = call(kv, trace, *arguments)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--blocks", "many", "'many' is not a list of whole numbers"),
        ("--blocks", "3,0", "found 0; allowed: from 1 to 2147483647"),
        ("--blocks", "9" * 30, f"found {'9' * 30}; allowed: from 1 to 2147483647"),
        ("--tier", "-1", "found -1; allowed: from 0 to 2147483647"),
        ("--inclusion", "both", "'both' is not one of 'exclusive', 'inclusive'"),
        ("--write", "sideways", "'sideways' is not one of 'back', 'through', 'selective'"),
        ("--admission", "none", "'none' is not one of 'all', 'frequent'"),
    ],
)
def test_a_wrong_option_is_named_with_what_was_found(
    trace: Path, option: str, value: str, message: str
) -> None:
    result = call(kv, trace, *(("--blocks", "4") if option != "--blocks" else ()), option, value)
    assert result.exit_code == 2
    assert f"Invalid value for '{option}': {message}" in result.stderr


def test_the_choices_of_the_tier_are_those_that_there_are() -> None:
    known = {"inclusion": INCLUSION, "write": WRITING, "admission": ADMISSION}
    choices = {p.name: set(p.type.choices) for p in kv.params if isinstance(p.type, click.Choice)}
    assert choices == {name: set(table) for name, table in known.items()}


def test_a_byte_order_mark_is_ignored(trace: Path) -> None:
    trace.write_bytes(b"\xef\xbb\xbf" + trace.read_bytes())
    assert call(kv, trace, "--blocks", "4").exit_code == 0


def test_a_trace_without_ids_has_no_prefix_cache_results(tmp_path: Path) -> None:
    path = tmp_path / "lengths.csv"
    path.write_text("input_length,output_length\n5,5\n")
    result = call(kv, path, "--blocks", "4")
    assert "no hash_ids" in str(result.exception)


@pytest.fixture
def reference(trace: Path, tmp_path: Path) -> Path:
    counts = {"hit_blocks": 1, "blocks": 8, "evictions": 4, "hit_rate": 0.125}
    two = {"l1_hit_blocks": 1, "l2_hit_blocks": 2, "blocks": 8, "demotions": 4, "promotions": 2}
    path = tmp_path / "reference.json"
    path.write_text(
        json.dumps(
            {
                trace.name: {
                    "block_tokens": 16,
                    "requests": 3,
                    "unique_blocks": 5,
                    "single": {"3": {"lru_tail_first": counts}},
                    "two_tier": {"3+2": two},
                }
            }
        )
    )
    return path


def test_equal_integers_end_with_0_and_are_shown_side_by_side(reference: Path, tmp_path: Path) -> None:
    result = call(kvcache, reference, "--traces", tmp_path)
    assert result.exit_code == 0
    assert "10 of 10 integers equal, 0 differ" in result.stdout


def test_one_wrong_integer_ends_with_1_and_is_named(reference: Path, tmp_path: Path) -> None:
    reference.write_text(reference.read_text().replace('"evictions": 4', '"evictions": 5'))
    result = call(kvcache, reference, "--traces", tmp_path, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "kind": "kvcache",
        "rows": 10,
        "mismatches": [
            {
                "trace": "tiny.jsonl",
                "case": "single.3.lru_tail_first",
                "field": "evictions",
                "asked": 5,
                "seen": 4,
            }
        ],
        "ok": False,
    }


def test_an_integer_that_no_replay_counts_is_said_not_to_be_compared(reference: Path, tmp_path: Path) -> None:
    reference.write_text(reference.read_text().replace('"evictions": 4', '"evictions": 4, "ghosts": 7'))
    result = call(kvcache, reference, "--traces", tmp_path)
    assert result.exit_code == 0
    assert result.stderr == "not compared, no replay counts them: single.ghosts\n"


def test_an_allowed_mean_difference_is_compared_with_the_mean_over_all_integers(
    reference: Path, tmp_path: Path
) -> None:
    reference.write_text(reference.read_text().replace('"evictions": 4', '"evictions": 5'))
    # One of ten integers is off by 1 of 5: the mean is 0.02.
    assert call(kvcache, reference, "--traces", tmp_path, "--max-error", 0.021).exit_code == 0
    assert call(kvcache, reference, "--traces", tmp_path, "--max-error", 0.019).exit_code == 1


def test_all_compared_integers_are_written_as_a_table(reference: Path, tmp_path: Path) -> None:
    call(kvcache, reference, "--traces", tmp_path, "--out", tmp_path / "out")
    lines = (tmp_path / "out" / "counts.csv").read_text().splitlines()
    assert lines[:2] == ["trace,case,field,asked,seen", "tiny.jsonl,trace,requests,3,3"]
    assert len(lines) == 11
    blocked = call(kvcache, reference, "--traces", tmp_path, "--out", reference)
    assert "found a file; allowed: a folder" in str(blocked.exception)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "found list; an object with traces by name"),
        ('{"absent.jsonl": {}}', "absent.jsonl: no such trace"),
        ('{"tiny.jsonl": {"block_tokens": 512}}', "3 ids for 40 tokens; blocks of 512 tokens need 1"),
        ('{"tiny.jsonl": {"single": {"x": {"lru_tail_first": {}}}}}', "malformed: ValueError"),
        (
            '{"tiny.jsonl": {"single": {"3": {"lru_tail_first": {"evictions": 4.5}}}}}',
            "single.3.lru_tail_first evictions: found 4.5; allowed: integers",
        ),
        ('{"tiny.jsonl": {"single": {"3": {"clock": {}}}}}', "policy: found clock"),
    ],
)
def test_an_unusable_reference_is_named(trace: Path, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "reference.json"
    path.write_text(text)
    result = call(kvcache, path, "--traces", trace.parent)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)


def test_other_traces_in_the_same_format_are_read_by_their_names(
    reference: Path, trace: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    shutil.copy(trace, folder / "tiny.jsonl")
    assert call(kvcache, reference, "--traces", folder).exit_code == 0
