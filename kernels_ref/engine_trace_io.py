"""Engine traces in files: steps in chunks, written and read as streams, so that hours need not fit in
memory.

The file is an `.npz` (zip of `.npy`, no pickle). `header.npy` and `end.npy` are JSON in bytes; between them
lie chunks `cNNNNNN.<name>.npy` of up to `CHUNK_STEPS` steps:

- `statics`, `static_of`: distinct values of everything that is no array (phase, geometry, formats ...), as
  JSON, and which of them each step has;
- `<field>.data`, `<field>.ptr`: an array field of all steps, concatenated, and the bounds of each step;
- `row_*`, `table.data`, `table.ptr`: block tables as numbers of distinct rows (see `engine_trace_rows`);
- `<field>.first`, `.at`, `.to`, `.ptr`: per-frame arrays, the first in full, then only what changed;
- `event.<kind>.data`, `.ptr`: conversions, migrations and evictions (see `StepEvents`).

A file becomes visible under its name only when it is whole. A file without its end is named truncated, one
with a wrong checksum damaged, one of another version by its version.
"""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels_ref.engine_trace_check import (
    EVENTS,
    FRAME_FIELDS,
    PER_SEQUENCE,
    REASONS,
    STEP_FIELDS,
    DamagedError,
    check_layout,
    check_statics,
    check_step,
    check_values,
    json_value,
)
from kernels_ref.engine_trace_rows import RowEncoder, decode_rows
from kernels_ref.errors import InputError
from kernels_ref.trace import Geometry, Step

FORMAT = "pagewalk.engine_trace"
VERSION = 1
CHUNK_STEPS = 256
ROW_FIELDS = ("table", "table_ptr")
PLAIN_FIELDS = [name for name in (*PER_SEQUENCE, *STEP_FIELDS) if name != "table"]
"""Array fields of a step that are stored as they are."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class StepEvents:
    """What the policies did before a step; frames as in the step's table."""

    conversions: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 3), np.int32))
    """[C, 3] frame, old format, new format (indices into `Step.formats`)."""
    migrations: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 3), np.int32))
    """[M, 3] source frame, target frame, new residency code."""
    evictions: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 2), np.int32))
    """[E, 2] frame, index into `REASONS`."""


class EngineTraceWriter:
    """Context manager; `write` steps in order. Leaving it by an error leaves no file."""

    def __init__(self, path: str | Path, *, chunk_steps: int = CHUNK_STEPS) -> None:
        self.path = Path(path)
        self.steps = 0
        self._chunk_steps = chunk_steps
        self._chunks = 0
        self._pending: list[tuple[Step, StepEvents]] = []
        self._partial = self.path.with_name(self.path.name + ".partial")

    def __enter__(self) -> "EngineTraceWriter":
        try:
            self._zip = zipfile.ZipFile(self._partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from None
        with self._dropped_on_error():
            self._put("header", _json_array({"format": FORMAT, "version": VERSION, "reasons": REASONS}))
        return self

    def write(self, step: Step, events: StepEvents | None = None) -> None:
        """Append one step. Its arrays are kept until the chunk is full: they must not change any more."""
        if self._pending and self._pending[0][0].frames != step.frames:
            self._flush()
        self._pending.append((step, events or StepEvents()))
        self.steps += 1
        if len(self._pending) >= self._chunk_steps:
            self._flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._drop()
            return
        with self._dropped_on_error():
            self._flush()
            self._put("end", _json_array({"steps": self.steps, "chunks": self._chunks}))
            self._zip.close()
            os.replace(self._partial, self.path)

    @contextmanager
    def _dropped_on_error(self) -> Iterator[None]:
        """On a full disk, say, nothing of the file stays, not even an archive that closes itself later."""
        try:
            yield
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        with suppress(OSError):
            self._zip.close()
        self._partial.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._pending:
            return
        for name, array in _chunk_arrays(self._pending).items():
            self._put(f"c{self._chunks:06d}.{name}", array)
        self._chunks += 1
        self._pending = []

    def _put(self, name: str, array: npt.NDArray[Any]) -> None:
        with self._zip.open(f"{name}.npy", "w") as stream:
            np.lib.format.write_array(stream, array, allow_pickle=False)


def _json_array(value: Any) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _chunk_arrays(pending: list[tuple[Step, StepEvents]]) -> Arrays:
    steps = [step for step, _ in pending]
    arrays = _statics(steps)
    for name in PLAIN_FIELDS:
        arrays |= _joined(name, [getattr(step, name) for step in steps])
    for name in FRAME_FIELDS:
        arrays |= _changes(name, [getattr(step, name) for step in steps])
    rows = RowEncoder()
    numbers = [np.array([rows.add(step.row(s)) for s in range(step.sequences)], np.int32) for step in steps]
    arrays |= _joined("table", numbers) | rows.arrays()
    for kind in EVENTS:
        arrays |= _joined(f"event.{kind}", [getattr(events, kind) for _, events in pending])
    return arrays


def _statics(steps: list[Step]) -> Arrays:
    arrays = (*PLAIN_FIELDS, *ROW_FIELDS, *FRAME_FIELDS)
    names = [f.name for f in fields(steps[0]) if f.name not in arrays]
    distinct: dict[str, int] = {}
    which = []
    for step in steps:
        values = {name: getattr(step, name) for name in names}
        values["geometry"] = asdict(step.geometry)
        which.append(distinct.setdefault(json.dumps(values, sort_keys=True), len(distinct)))
    return {
        "statics": _json_array([json.loads(text) for text in distinct]),
        "static_of": np.array(which, np.int32),
    }


def _joined(name: str, parts: list[npt.NDArray[Any]]) -> Arrays:
    ptr = np.concatenate(([0], np.cumsum([len(part) for part in parts]))).astype(np.int64)
    return {f"{name}.data": np.concatenate(parts), f"{name}.ptr": ptr}


def _changes(name: str, states: list[npt.NDArray[Any]]) -> Arrays:
    at = [np.empty(0, np.int32)]
    to = [states[0][:0]]
    for before, after in pairwise(states):
        changed = np.flatnonzero(before != after).astype(np.int32)
        at.append(changed)
        to.append(after[changed])
    return {f"{name}.first": states[0], f"{name}.to": np.concatenate(to)} | {
        f"{name}.at": np.concatenate(at),
        f"{name}.ptr": np.concatenate(([0], np.cumsum([len(part) for part in at]))).astype(np.int64),
    }


def read_engine_trace(path: str | Path) -> Iterator[tuple[Step, StepEvents]]:
    """Steps with their events, in order, a chunk in memory at a time. Raises InputError for anything that
    is not a whole engine trace of this version."""
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            _check_header(archive, names, path)
            yield from _read_chunks(archive, names)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: truncated or damaged engine trace: {error}") from None
    except DamagedError as error:
        raise InputError(f"{path}: damaged engine trace: {error}") from None
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, MemoryError) as error:
        raise InputError(f"{path}: damaged engine trace: {type(error).__name__}: {error}") from None
    except (RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path}: not as pagewalk writes an engine trace: {error}") from None


def is_engine_trace(path: str | Path) -> bool:
    """Whether the file calls itself an engine trace, whole or not."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(json_value("header", _get(archive, "header"))["format"] == FORMAT)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError):
        return False


def _check_header(archive: zipfile.ZipFile, names: set[str], path: Path) -> None:
    if "header.npy" not in names:
        raise InputError(
            f"{path}: not an engine trace: found {', '.join(sorted(names))[:80]}; header.npy is needed"
        )
    header = json_value("header", _get(archive, "header"))
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        found = f"{header.get('format')} version {header.get('version')}"
        raise InputError(f"{path}: found {found}; allowed: {FORMAT} version {VERSION}")
    if "end.npy" not in names:
        raise InputError(f"{path}: truncated engine trace: its end is missing")


def _get(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.lib.format.read_array(
        io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False
    )
    return array


def _read_chunks(archive: zipfile.ZipFile, names: set[str]) -> Iterator[tuple[Step, StepEvents]]:
    end = json_value("end", _get(archive, "end"))
    steps = 0
    for chunk in range(end["chunks"]):
        for step in _read_chunk(archive, f"c{chunk:06d}.", names):
            steps += 1
            yield step
    if steps != end["steps"]:
        raise DamagedError(f"end: found {end['steps']} steps; allowed: {steps}, as the chunks hold")


def _read_chunk(archive: zipfile.ZipFile, prefix: str, names: set[str]) -> Iterator[tuple[Step, StepEvents]]:
    suffix = ".npy"
    arrays = {
        n[len(prefix) : -len(suffix)]: _get(archive, n[: -len(suffix)]) for n in names if n.startswith(prefix)
    }
    check_layout(arrays)
    statics = check_statics(json_value("statics", arrays["statics"]))
    check_values(arrays, statics)
    rows = decode_rows(arrays["row_base"], arrays["row_shared"], arrays["row_rest"], arrays["row_ptr"])
    frames = {name: arrays[f"{name}.first"] for name in FRAME_FIELDS}
    for number, static in enumerate(arrays["static_of"]):
        values = _restored(statics[static])
        values |= {name: _part(arrays, name, number) for name in PLAIN_FIELDS}
        frames = {name: _advanced(arrays, name, number, frames[name]) for name in FRAME_FIELDS}
        mine = [rows[row] for row in _part(arrays, "table", number)]
        values["table"] = np.concatenate([np.empty(0, np.int32), *mine])
        values["table_ptr"] = np.concatenate(([0], np.cumsum([len(row) for row in mine]))).astype(np.int64)
        step = Step(**(values | frames))
        check_step(step)
        yield step, StepEvents(**{kind: _part(arrays, f"event.{kind}", number) for kind in EVENTS})


def _restored(static: dict[str, Any]) -> dict[str, Any]:
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in static.items()}
    return values | {"geometry": Geometry(**static["geometry"])}


def _part(arrays: Arrays, name: str, number: int) -> npt.NDArray[Any]:
    ptr = arrays[f"{name}.ptr"]
    part: npt.NDArray[Any] = arrays[f"{name}.data"][ptr[number] : ptr[number + 1]]
    return part


def _advanced(arrays: Arrays, name: str, number: int, before: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """State of a per-frame array at a step of the chunk; a new array only if something changed."""
    ptr = arrays[f"{name}.ptr"]
    changed = arrays[f"{name}.at"][ptr[number] : ptr[number + 1]]
    if not len(changed):
        return before
    after = before.copy()
    after[changed] = arrays[f"{name}.to"][ptr[number] : ptr[number + 1]]
    return after
