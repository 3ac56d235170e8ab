"""The published formats of request traces, each turned into the same columns.

JSON lines: Mooncake and its kin (`timestamp` in ms), Qwen-Bailian (`chat_id`, `timestamp` in seconds,
16-token ids), TraceLab rounds. CSV by column name: ours, Azure (`TIMESTAMP, ContextTokens,
GeneratedTokens`), BurstGPT 1 to 3, Vidur. JSON: a measured serving run (`requests`), ServeGen clients
(`clients`).
"""

import csv
import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from kernels_ref.servegen import synthesise
from kernels_ref.trace_problems import TraceProblems

MOST_TOKENS = 10**9
"""No sequence is longer; a larger number is a column read by mistake."""


@dataclass
class Columns:
    """What a reader found; optional columns stay empty. `line` is the file line (or record number) of each
    row."""

    line: list[int] = field(default_factory=list)
    arrival_s: list[float] = field(default_factory=list)
    input_length: list[int] = field(default_factory=list)
    output_length: list[int] = field(default_factory=list)
    hash_ids: list[npt.NDArray[np.int64]] = field(default_factory=list)
    session: list[str] = field(default_factory=list)
    block_tokens: int | None = None
    failed: int = 0


def read_jsonl(lines: TextIO, problems: TraceProblems) -> Columns:
    columns = Columns()
    for number, line in enumerate(lines, start=1):
        if problems.full:
            break
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            problems.add(number, "line", line.strip(), f"one JSON object per line ({error.msg})")
            continue
        if not isinstance(record, dict):
            problems.add(number, "line", type(record).__name__, "one JSON object per line")
            continue
        _add_record(columns, number, record, problems)
    _same_everywhere(columns, problems)
    columns.arrival_s = _from_first(columns.arrival_s)
    return columns


def _add_record(columns: Columns, number: int, record: dict[str, Any], problems: TraceProblems) -> None:
    columns.line.append(number)
    columns.input_length.append(_integer(record, ("input_length", "input_tokens"), number, problems))
    columns.output_length.append(_integer(record, ("output_length", "output_tokens"), number, problems))
    if "chat_id" in record:
        columns.block_tokens = 16
        columns.arrival_s.append(_seconds(record.get("timestamp"), number, problems, 1.0))
    elif "timestamp" in record:
        columns.arrival_s.append(_seconds(record["timestamp"], number, problems, 1000.0))
    elif "first_event" in record:
        columns.arrival_s.append(_date_seconds(record["first_event"], number, problems))
    if "hash_ids" in record:
        columns.hash_ids.append(_ids(record["hash_ids"], number, problems))
    session = record.get("session", record.get("chat_id"))
    if session is not None:
        columns.session.append(str(session))


def _ids(found: Any, number: int, problems: TraceProblems) -> npt.NDArray[np.int64]:
    if isinstance(found, list) and all(type(i) is int and 0 <= i < 2**50 for i in found):
        return np.array(found, np.int64)
    problems.add(number, "hash_ids", found, "a list of block ids, integers from 0 to 2^50")
    return np.empty(0, np.int64)


def _integer(record: dict[str, Any], names: tuple[str, ...], number: int, problems: TraceProblems) -> int:
    for name in names:
        if name in record:
            value = record[name]
            if type(value) is int and value <= MOST_TOKENS:
                return value
            problems.add(number, name, repr(value), f"an integer number of tokens, at most {MOST_TOKENS}")
            return 1
    problems.add(number, names[0], "nothing", "a number of tokens is needed")
    return 1


def _seconds(value: Any, number: int, problems: TraceProblems, per_second: float) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return value / per_second
    problems.add(number, "timestamp", repr(value), "a number, at least 0")
    return 0.0


def _date_seconds(value: Any, number: int, problems: TraceProblems) -> float:
    try:
        # Azure writes seven digits of a second; Python reads six.
        whole, _, part = str(value).rstrip("Z").partition(".")
        seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
        return seconds + (float(f"0.{part}") if part else 0.0)
    except ValueError:
        problems.add(number, "timestamp", repr(value), "a date and time like 2023-11-16 18:15:46.6805900")
        return 0.0


def _same_everywhere(columns: Columns, problems: TraceProblems) -> None:
    """An optional key is in every line or in none: a mixed file has no single meaning."""
    for key in ("arrival_s", "hash_ids", "session"):
        if len(getattr(columns, key)) not in (0, len(columns.line)):
            found = f"{len(getattr(columns, key))} of {len(columns.line)} lines"
            problems.add(columns.line[-1], key.removesuffix("_s"), found, "all lines or none have it")


INPUT_NAMES = ("input_length", "ContextTokens", "Request tokens", "num_prefill_tokens")
OUTPUT_NAMES = ("output_length", "GeneratedTokens", "Response tokens", "num_decode_tokens")
TIME_NAMES = ("timestamp_s", "TIMESTAMP", "Timestamp", "arrived_at")


def read_csv(lines: TextIO, problems: TraceProblems) -> Columns:
    columns = Columns()
    reader = csv.DictReader(lines)
    names = reader.fieldnames or []
    wanted = [
        next((n for n in known if n in names), None) for known in (INPUT_NAMES, OUTPUT_NAMES, TIME_NAMES)
    ]
    source, target, time = wanted
    if source is None or target is None:
        allowed = f"one of {', '.join(INPUT_NAMES)} and one of {', '.join(OUTPUT_NAMES)}"
        problems.add(1, "columns", ", ".join(names) or "nothing", allowed)
        return columns
    for row in reader:
        if problems.full:
            break
        produced = _cell(row, target, reader.line_num, problems)
        if target == "Response tokens" and produced == 0:
            columns.failed += 1
            continue
        columns.line.append(reader.line_num)
        columns.input_length.append(_cell(row, source, reader.line_num, problems))
        columns.output_length.append(produced)
        if time is not None:
            columns.arrival_s.append(_csv_seconds(row[time], reader.line_num, problems))
        if "Session ID" in names:
            columns.session.append(row["Session ID"] or "")
    columns.arrival_s = _from_first(columns.arrival_s)
    return columns


def _cell(row: dict[str, str], name: str, number: int, problems: TraceProblems) -> int:
    try:
        value = float(row[name])
        if value == int(value) and value <= MOST_TOKENS:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    problems.add(number, name, repr(row[name]), f"a whole number of tokens, at most {MOST_TOKENS}")
    return 1


def _csv_seconds(value: str, number: int, problems: TraceProblems) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return _date_seconds(value, number, problems)
    return _seconds(seconds, number, problems, 1.0)


def _from_first(times: list[float]) -> list[float]:
    """Absolute clocks (dates, Unix-like seconds) start at the first request; relative ones start near 0
    already."""
    if times and times[0] > 1e6:
        return [time - times[0] for time in times]
    return times


def read_json(
    lines: TextIO, problems: TraceProblems, start_s: float, duration_s: float, seed: int
) -> Columns:
    try:
        document = json.load(lines)
    except json.JSONDecodeError as error:
        problems.add(error.lineno, "file", error.doc[error.pos : error.pos + 20], f"JSON ({error.msg})")
        return Columns()
    if isinstance(document, dict) and isinstance(document.get("requests"), list):
        return _measured(document["requests"], problems)
    if isinstance(document, dict) and isinstance(document.get("clients"), dict):
        load = synthesise(document["clients"], start_s, duration_s, np.random.default_rng(seed))
        count = len(load.arrival_s)
        return Columns(
            list(range(1, count + 1)),
            load.arrival_s,
            load.input_length,
            load.output_length,
            session=load.client,
        )
    problems.add(1, "file", "another document", "a measured run with `requests`, or ServeGen `clients`")
    return Columns()


def _measured(requests: list[Any], problems: TraceProblems) -> Columns:
    columns = Columns()
    for number, record in enumerate(requests, start=1):
        if not isinstance(record, dict):
            problems.add(number, "requests", type(record).__name__, "an object per request")
            continue
        columns.line.append(number)
        columns.input_length.append(_integer(record, ("input_length",), number, problems))
        columns.output_length.append(_integer(record, ("output_length",), number, problems))
        columns.arrival_s.append(_seconds(record.get("arrival_s"), number, problems, 1.0))
    return columns
