"""Engine traces survive the file exactly, stream, and say what is wrong with a broken one."""

import dataclasses
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kernels_ref.block_manager import BlockManager
from kernels_ref.engine_trace_io import EngineTraceWriter, StepEvents, is_engine_trace, read_engine_trace
from kernels_ref.engine_trace_rows import RowEncoder, decode_rows
from kernels_ref.errors import InputError
from kernels_ref.trace import Geometry, Step

GEOMETRY = Geometry(q_heads=8, kv_heads=2, head_dim=64, value_dim=64)


def step_of(manager: BlockManager, frame_format: np.ndarray, phase: str = "decode") -> Step:
    rows = [manager.block_table(seq) for seq in manager.sequences]
    return Step(
        phase=phase,
        geometry=GEOMETRY,
        page_tokens=manager.block_tokens,
        context=np.array([s.num_tokens for s in manager.sequences.values()], np.int32),
        q_len=np.ones(len(rows), np.int32),
        table_ptr=np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64),
        table=np.concatenate([np.empty(0, np.int32), *rows]),
        frame_format=frame_format.copy(),
        frame_residency=np.zeros(manager.num_blocks, np.uint8),
        formats=("fp16", "int4"),
        tiers=("host",),
        appends=np.array([[s, 1, 2] for s in range(len(rows))], np.int32).reshape(-1, 3),
    )


def recording(count: int) -> list[tuple[Step, StepEvents]]:
    """A batch that grows, forks, shares a prompt and changes formats."""
    rng = np.random.default_rng(5)
    manager = BlockManager(512, 16)
    formats = np.zeros(512, np.uint8)
    out = []
    for number in range(count):
        if number % 3 == 0:
            manager.allocate(number, 100, token_hash_ids=[*range(5), 1000 + number, 2000 + number])
        if number % 10 == 4:
            manager.fork(next(reversed(manager.sequences)), 10_000 + number)
        for seq in manager.sequences:
            manager.append(seq, 2)
        if number % 9 == 8:
            manager.free(next(iter(manager.sequences)))
        changed = rng.integers(0, 512, 2)
        formats[changed] ^= 1
        events = StepEvents(
            conversions=np.array([[f, 1 - formats[f], formats[f]] for f in changed], np.int32),
            evictions=np.array([[7, 0]] * (number % 2), np.int32).reshape(-1, 2),
        )
        out.append((step_of(manager, formats, "prefill" if number % 3 == 0 else "decode"), events))
    return out


def same(left: object, right: object) -> bool:
    if not dataclasses.is_dataclass(left):
        if not isinstance(left, np.ndarray):
            return bool(left == right)
        assert isinstance(right, np.ndarray)
        return left.dtype == right.dtype and left.shape == right.shape and bool((left == right).all())
    return all(same(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left))


@pytest.mark.parametrize("chunk_steps", [1, 7, 256])
def test_a_round_trip_is_exact_at_any_chunk_length(tmp_path: Path, chunk_steps: int) -> None:
    steps = recording(60)
    path = tmp_path / "trace.npz"
    with EngineTraceWriter(path, chunk_steps=chunk_steps) as writer:
        for step, events in steps:
            writer.write(step, events)
    back = list(read_engine_trace(path))
    assert len(back) == 60
    assert all(same(a, b) and same(x, y) for (a, x), (b, y) in zip(steps, back, strict=True))
    assert is_engine_trace(path)


def test_no_array_of_the_file_needs_pickle(tmp_path: Path) -> None:
    path = tmp_path / "trace.npz"
    with EngineTraceWriter(path) as writer:
        for step, events in recording(3):
            writer.write(step, events)
    with np.load(path, allow_pickle=False) as archive:
        assert all(archive[name] is not None for name in archive.files)


def test_a_row_that_grows_or_shares_a_prefix_is_stored_by_its_new_entries_only() -> None:
    rows = RowEncoder()
    prompt = np.arange(1000, dtype=np.int32)
    numbers = [rows.add(prompt), rows.add(np.append(prompt, 7).astype(np.int32)), rows.add(prompt)]
    numbers.append(rows.add(np.append(prompt[:400], [8, 9]).astype(np.int32)))
    assert numbers == [0, 1, 0, 2]
    arrays = rows.arrays()
    assert len(arrays["row_rest"]) == 1000 + 1 + 2
    found = decode_rows(arrays["row_base"], arrays["row_shared"], arrays["row_rest"], arrays["row_ptr"])
    assert found[2].tolist() == [*range(400), 8, 9]


def test_reading_holds_one_chunk_and_not_the_file(tmp_path: Path) -> None:
    path = tmp_path / "trace.npz"
    with EngineTraceWriter(path, chunk_steps=4) as writer:
        for step, events in recording(40):
            writer.write(step, events)
    reader = read_engine_trace(path)
    next(reader)
    with zipfile.ZipFile(path) as archive:
        assert len({name.split(".")[0] for name in archive.namelist()} - {"header", "end"}) == 10


def test_an_error_while_writing_leaves_no_file(tmp_path: Path) -> None:
    def stop_after_one() -> None:
        with EngineTraceWriter(tmp_path / "trace.npz") as writer:
            writer.write(recording(1)[0][0])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_after_one()
    assert list(tmp_path.iterdir()) == []


def write(path: Path, count: int = 5) -> bytes:
    with EngineTraceWriter(path) as writer:
        for step, events in recording(count):
            writer.write(step, events)
    return path.read_bytes()


def test_a_truncated_file_is_named_truncated(tmp_path: Path) -> None:
    whole = write(tmp_path / "trace.npz")
    for part in (0.0, 0.3, 0.9, 0.999):
        (tmp_path / "cut.npz").write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(InputError, match=r"cut.npz: truncated or damaged"):
            list(read_engine_trace(tmp_path / "cut.npz"))


def test_a_flipped_byte_is_found_by_its_checksum(tmp_path: Path) -> None:
    whole = bytearray(write(tmp_path / "trace.npz"))
    with zipfile.ZipFile(tmp_path / "trace.npz") as archive:
        info = archive.getinfo("c000000.row_rest.npy")
    whole[info.header_offset + 60 + info.compress_size // 2] ^= 0xFF
    (tmp_path / "bad.npz").write_bytes(whole)
    with pytest.raises(InputError, match=r"bad.npz: .*damaged"):
        list(read_engine_trace(tmp_path / "bad.npz"))


def test_a_missing_part_another_version_and_a_foreign_file_are_named(tmp_path: Path) -> None:
    write(tmp_path / "trace.npz")
    with np.load(tmp_path / "trace.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    cases = {
        "end.npz": (
            {k: v for k, v in arrays.items() if k != "end"},
            "truncated engine trace: its end is missing",
        ),
        "part.npz": (
            {k: v for k, v in arrays.items() if k != "c000000.row_ptr"},
            "damaged engine trace: row_ptr: found nothing; allowed: the array",
        ),
        "foreign.npz": ({"x": np.zeros(2)}, "not an engine trace: found x.npy"),
        "new.npz": (
            arrays
            | {"header": np.frombuffer(b'{"format": "pagewalk.engine_trace", "version": 9}', np.uint8)},
            "found pagewalk.engine_trace version 9; allowed: pagewalk.engine_trace version 1",
        ),
    }
    for name, (content, message) in cases.items():
        np.savez(tmp_path / name, **content)
        with pytest.raises(InputError, match=message):
            list(read_engine_trace(tmp_path / name))


def test_a_foreign_pickle_is_refused_unread(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([object()]), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        archive.writestr("header.npy", buffer.getvalue())
    with pytest.raises(InputError, match="Object arrays cannot be loaded"):
        list(read_engine_trace(tmp_path / "p.npz"))
    with pytest.raises(InputError, match="cannot be read: No such file"):
        list(read_engine_trace(tmp_path / "absent.npz"))


def refusal(path: Path) -> str | None:
    try:
        list(read_engine_trace(path))
    except InputError as error:
        return str(error)
    return None


def damages(array: np.ndarray) -> dict[str, np.ndarray | None]:
    """Ways in which one array of a file may be wrong; each differs from the array."""
    return {
        "missing": None,
        "another type": array.astype(np.float64),
        "one value less": array[:-1],
        "one value more": np.concatenate([array, array[-1:]]) if len(array) else np.zeros(1, array.dtype),
        "another dimension": array[:, None],
        "too large": np.full_like(array, 10**9 if array.dtype.itemsize > 1 else 255),
        "too small": np.full_like(array, -2 if array.dtype.kind == "i" else 255),
    }


def test_no_array_may_be_missing_of_another_type_or_length_or_out_of_range(tmp_path: Path) -> None:
    # The simulator's compiled code indexes with these arrays unchecked: a wrong one would be read out of bounds.
    write(tmp_path / "trace.npz", 30)
    with np.load(tmp_path / "trace.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    accepted = []
    for name in (name for name in arrays if name.startswith("c000000.")):
        for what, damaged in damages(arrays[name]).items():
            if damaged is not None and damaged.shape == arrays[name].shape and not damaged.size:
                continue
            rest = {key: array for key, array in arrays.items() if key != name}
            np.savez(tmp_path / "bad.npz", **rest if damaged is None else rest | {name: damaged})
            if (problem := refusal(tmp_path / "bad.npz")) is None:
                accepted.append(f"{name}: {what}")
            else:
                assert "bad.npz: damaged engine trace: " in problem
    assert accepted == []


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("row_rest", 3, 512, r"row_rest\[3\]: found 512; allowed: 0 to 511"),
        ("row_shared", 2, -1, r"row_shared\[2\]: found -1; allowed: 0 to"),
        ("table.data", 2, 10**6, r"table.data\[2\]: found 1000000; allowed: 0 to "),
        ("context.data", 0, 8 * 16 + 1, r"context of a step\[0\]: found 129; allowed: 1 to 1"),
        ("frame_format.to", 1, 2, r"frame_format of a step\[\d+\]: found 2; allowed: 0 to 1"),
        ("event.evictions.data", 0, 512, r"event.evictions.data\[0\]: found 512; allowed: 0 to 511"),
        ("static_of", 0, 9, r"static_of\[0\]: found 9; allowed: 0 to "),
        ("table.ptr", 1, 100, r"table.ptr: found bounds that fall; allowed: bounds in order"),
    ],
)
def test_one_wrong_number_is_named_with_its_array_and_range(
    tmp_path: Path, name: str, place: int, value: int, message: str
) -> None:
    write(tmp_path / "trace.npz")
    with np.load(tmp_path / "trace.npz") as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[f"c000000.{name}"].flat[place] = value
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message):
        list(read_engine_trace(tmp_path / "bad.npz"))
