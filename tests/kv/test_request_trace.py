"""Readers of request traces: every published format, and what they refuse."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from kernels_ref.errors import InputError
from kernels_ref.request_trace import read_requests


def write_jsonl(path: Path, *records: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def request(length: int, ids: list[int], **more: object) -> dict[str, object]:
    return {"timestamp": 0, "input_length": length, "output_length": 1, "hash_ids": ids, **more}


@pytest.mark.parametrize(
    ("name", "requests", "block_tokens", "input_mean"),
    [
        ("agent_miniswe.jsonl.gz", 402, 16, 6017),
        ("arxiv_long_context_lengths.csv.gz", 10111, None, 29567),
        ("azure2023_conv_min00_44.csv.gz", 15543, None, 1181),
        ("burstgpt3_format_sample.csv", 58, None, 704),
        ("measured_vllm_rtxpro6000_llama_31_8b.json.gz", 300, None, 857),
        ("mooncake_conversation_min00_45.jsonl.gz", 8940, 512, 12224),
        ("sharegpt_qwen3_32b_300.jsonl.gz", 300, 16, 862),
        ("tracelab_example_rounds.jsonl.gz", 19, None, 27053),
    ],
)
def test_every_shared_trace_reads_as_its_readme_says(
    shared: Path, name: str, requests: int, block_tokens: int | None, input_mean: int
) -> None:
    trace = read_requests(shared / "data" / "traces" / name)
    assert len(trace) == requests
    assert trace.block_tokens == block_tokens
    assert trace.input_length.mean() == pytest.approx(input_mean, abs=1)


def test_servegen_clients_synthesise_their_stated_rate_and_repeat_for_a_seed(shared: Path) -> None:
    path = shared / "data" / "traces" / "servegen_deepseek_r1_top16.json.gz"
    document = json.loads(gzip.decompress(path.read_bytes()))
    rate = sum(w[1] for c in document["clients"].values() for w in c["windows"] if w[0] == 43200)
    trace = read_requests(path, start_s=43200, duration_s=600, seed=1)
    assert len(trace) == pytest.approx(rate * 600, rel=0.1)
    assert trace.arrival_s is not None
    assert (np.diff(trace.arrival_s) >= 0).all()
    again = read_requests(path, start_s=43200, duration_s=600, seed=1)
    assert (again.input_length == trace.input_length).all()


def test_azure_and_bailian_originals_are_read_by_their_own_names(tmp_path: Path) -> None:
    azure = tmp_path / "azure.csv"
    azure.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
    )
    trace = read_requests(azure)
    assert trace.arrival_s is not None
    assert trace.arrival_s[1] == pytest.approx(4.314579, abs=1e-6)
    bailian = write_jsonl(
        tmp_path / "bailian.jsonl",
        {
            **request(20, [1, 2]),
            "chat_id": 5,
            "parent_chat_id": -1,
            "timestamp": 61.5,
            "type": "text",
            "turn": 1,
        },
    )
    trace = read_requests(bailian)
    assert (trace.block_tokens, trace.session) == (16, ("5",))
    assert trace.arrival_s is not None
    assert trace.arrival_s[0] == 61.5


def test_rows_of_burstgpt_without_a_response_are_counted_as_failed(tmp_path: Path) -> None:
    path = tmp_path / "burst.csv"
    path.write_text(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,m,10,0,10,API log\n"
    )
    path.write_text(path.read_text() + "9,m,10,3,13,API log\n")
    trace = read_requests(path)
    assert (len(trace), trace.failed) == (1, 1)


def test_a_smaller_page_splits_each_id_and_keeps_the_reuse(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", request(70, [4, 9, 2, 3, 8]), request(20, [4, 7]))
    trace = read_requests(path)
    assert trace.blocks is not None
    pages = trace.blocks.split(8, trace.input_length)
    # 70 tokens are 9 pages of 8: two per 16-token id, one of the part-filled last; 20 tokens are 3.
    assert pages.row(0).tolist() == [8, 9, 18, 19, 4, 5, 6, 7, 16]
    assert pages.row(1).tolist() == [8, 9, 14]


@pytest.mark.parametrize("page", [0, 3, 32])
def test_a_page_that_does_not_divide_the_block_is_refused(tmp_path: Path, page: int) -> None:
    trace = read_requests(write_jsonl(tmp_path / "t.jsonl", request(20, [4, 7])))
    assert trace.blocks is not None
    with pytest.raises(InputError, match=f"block_tokens: found {page}; the trace has 16-token blocks"):
        trace.blocks.split(page, trace.input_length)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([request(-5, [1])], "t.jsonl:1: input_length: found -5; at least 1"),
        ([request(20, [1, 2], output_length=-1)], "t.jsonl:1: output_length: found -1; at least 0"),
        (
            [request(20, [1, 2]), request(20, [3, 2])],
            "t.jsonl:2: hash_ids: found id 2 after id 3; it follows id 1 at line 1",
        ),
        (
            [request(40, [1, 2, 1])],
            "t.jsonl:1: hash_ids: found id 1 after id 2; it follows nothing at line 1",
        ),
        ([request(700, [1, 2]), request(40, [1, 3, 4])], "t.jsonl:2: hash_ids: found 3 ids for 40 tokens"),
        ([request(20, [1, -2])], "t.jsonl:1: hash_ids: found"),
        ([{"input_length": 4}], "t.jsonl:1: output_length: found nothing"),
        (
            [{"chat_id": 1, "input_length": 4, "output_length": 1}],
            "t.jsonl:1: timestamp: found None; a number, at least 0",
        ),
        (
            [request(20, [1, 2]), {"input_length": 4, "output_length": 1, "timestamp": 1}],
            "found 1 of 2 lines",
        ),
    ],
)
def test_a_broken_trace_is_named_by_line_and_key(
    tmp_path: Path, records: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_requests(write_jsonl(tmp_path / "t.jsonl", *records))
    assert message in str(caught.value)


def test_a_wrong_block_size_is_an_error_and_not_a_truncation(shared: Path) -> None:
    with pytest.raises(InputError, match="found 14 ids for 6758 tokens; blocks of 16 tokens need 423"):
        read_requests(shared / "data" / "traces" / "mooncake_conversation_min00_45.jsonl.gz", block_tokens=16)


def test_damaged_truncated_missing_and_foreign_files_are_named_as_such(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"timestamp":0,"input_length":9,"output_length":1}\n' * 500)
    cases = {
        "cut.jsonl.gz": (whole[:-20], "truncated"),
        "bad.jsonl.gz": (b"not gzip at all", "cannot be read"),
        "text.jsonl": (b"hello\n", "one JSON object per line"),
        "t.parquet": (b"x", "format: found .parquet"),
        "empty.jsonl": (b"", "no requests"),
        "foreign.csv": (b"a,b\n1,2\n", "columns: found a, b"),
        "other.json": (b"{}", "a measured run"),
        "huge.csv": (b"input_length,output_length\n1e300,1\n", "huge.csv:2: input_length: found '1e300'"),
        "late.jsonl": (b'{"timestamp":Infinity,"input_length":1,"output_length":1}', "timestamp: found inf"),
        "wide.csv": (b"input_length,output_length\n" + b"1" * 200_000, "not a CSV table"),
        "bytes.csv": (b"\xff\xfe\x00", "not a text file in UTF-8"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_requests(tmp_path / name)
        assert message in str(caught.value), name
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_requests(tmp_path / "absent.csv")
