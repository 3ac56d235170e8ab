"""What each array of an engine trace's chunk must be like, in one table, and the check of a chunk against it.

Compiled code indexes with these arrays without looking: a number out of its range would read foreign memory.
"""

import json
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels_ref.trace import Geometry, Step

Arrays = dict[str, npt.NDArray[Any]]

REASONS = ("allocation", "capacity", "preemption", "migration", "window", "clear")
"""Why a block was evicted; an event stores the index."""


class DamagedError(ValueError):
    """An array is not what the format says; the message names it, with what was found and what is allowed."""


@dataclass(frozen=True)
class Joined:
    """An array field of all steps, concatenated (`.data`, bounds in `.ptr`). `below`: what bounds the values of each
    column, a name of `_limits`; a lone name is a field of one dimension. `lowest`: the least value."""

    below: str | tuple[str, ...]
    lowest: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.below,) if isinstance(self.below, str) else self.below


PER_SEQUENCE = {
    "context": Joined("tokens", lowest=1),
    "q_len": Joined("tokens", lowest=1),
    "table": Joined("rows"),
}
"""One value for each sequence of a step."""
STEP_FIELDS = {"appends": Joined(("sequences", "tokens", "frames")), "copies": Joined(("frames", "frames"))}
EVENTS = {
    "conversions": Joined(("frames", "formats", "formats")),
    "migrations": Joined(("frames", "frames", "residencies")),
    "evictions": Joined(("frames", "reasons")),
}
JOINED = PER_SEQUENCE | STEP_FIELDS | {f"event.{kind}": what for kind, what in EVENTS.items()}
FRAME_FIELDS = ("frame_format", "frame_residency")
"""Per-frame arrays: the first state in full (`.first`), then changes (`.at`, `.to`, `.ptr`)."""

DTYPES: dict[str, Any] = (
    {"statics": np.uint8, "static_of": np.int32}
    | {"row_base": np.int32, "row_shared": np.int32, "row_rest": np.int32, "row_ptr": np.int64}
    | {f"{name}.data": np.int32 for name in JOINED}
    | {f"{name}.ptr": np.int64 for name in (*JOINED, *FRAME_FIELDS)}
    | {f"{name}.at": np.int32 for name in FRAME_FIELDS}
    | {f"{name}.{part}": np.uint8 for name in FRAME_FIELDS for part in ("first", "to")}
)
"""Every array of a chunk."""


def _demand(holds: bool, name: str, found: object, allowed: str) -> None:
    if not holds:
        raise DamagedError(f"{name}: found {found}; allowed: {allowed}")


def check_layout(arrays: Arrays) -> None:
    """Names, types, dimensions and bounds of a chunk. Raises DamagedError."""
    for name in sorted(DTYPES.keys() | arrays.keys()):
        _demand(name in arrays, name, "nothing", "the array, which each chunk has")
        _demand(name in DTYPES, name, "an unknown array", f"{', '.join(sorted(DTYPES))}")
        array, wanted = arrays[name], np.dtype(DTYPES[name])
        _demand(array.dtype == wanted, name, array.dtype, str(wanted))
        below = JOINED[name.removesuffix(".data")].below if name.endswith(".data") else ""
        tail = () if isinstance(below, str) else (len(below),)
        _demand(array.ndim == 1 + len(tail) and array.shape[1:] == tail, name, array.shape, f"(any, *{tail})")
    steps = len(arrays["static_of"])
    _check_bounds(arrays, "row_ptr", "row_rest", len(arrays["row_base"]))
    _same_length(arrays, "row_shared", "row_base")
    for name in JOINED:
        _check_bounds(arrays, f"{name}.ptr", f"{name}.data", steps)
    for name in FRAME_FIELDS:
        _check_bounds(arrays, f"{name}.ptr", f"{name}.at", steps)
        _same_length(arrays, f"{name}.to", f"{name}.at")
        _same_length(arrays, f"{name}.first", "frame_format.first")
    for name in PER_SEQUENCE:
        same = np.array_equal(arrays[f"{name}.ptr"], arrays["context.ptr"])
        _demand(same, f"{name}.ptr", "other bounds", "those of context.ptr, one value for each sequence")


def _same_length(arrays: Arrays, name: str, other: str) -> None:
    found, wanted = len(arrays[name]), len(arrays[other])
    _demand(found == wanted, name, f"{found} values", f"{wanted}, as {other} has")


def _check_bounds(arrays: Arrays, name: str, data: str, parts: int) -> None:
    """`name` cuts `data` into `parts` pieces, in order and whole."""
    ptr, length = arrays[name], len(arrays[data])
    _demand(len(ptr) == parts + 1, name, f"{len(ptr)} values", f"{parts + 1}, one more than there are parts")
    _demand(bool((np.diff(ptr) >= 0).all()), name, "bounds that fall", "bounds in order")
    _demand(int(ptr[0]) == 0 and int(ptr[-1]) == length, name, f"{ptr[0]} to {ptr[-1]}", f"0 to {length}")


def check_values(arrays: Arrays, statics: list[dict[str, Any]]) -> None:
    """Ranges of a chunk of right layout; `statics` as `check_statics` passed them. Raises DamagedError."""
    _check_range("static_of", arrays["static_of"], 0, np.int64(len(statics)))
    limits = _limits(arrays, [statics[static] for static in arrays["static_of"]])
    frames = np.int64(len(arrays["frame_format.first"]))
    _check_range("row_base", arrays["row_base"], -1, np.arange(len(arrays["row_base"])))
    # How much of a row that is continued there is, decoding shows; a row of its own continues none.
    continued = np.where(arrays["row_base"] < 0, 1, np.int64(1) << 31)
    _check_range("row_shared", arrays["row_shared"], 0, continued)
    _check_range("row_rest", arrays["row_rest"], 0, frames)
    for name in FRAME_FIELDS:
        _check_range(f"{name}.at", arrays[f"{name}.at"], 0, frames)
    for name, what in JOINED.items():
        data = arrays[f"{name}.data"].reshape(-1, len(what.columns))
        counts = np.diff(arrays[f"{name}.ptr"])
        for column, limit in enumerate(what.columns):
            _check_range(f"{name}.data", data[:, column], what.lowest, np.repeat(limits[limit], counts))


def _limits(arrays: Arrays, statics: list[dict[str, Any]]) -> Arrays:
    """[steps] of each limit: the least value that is too large."""
    steps = len(statics)
    each = np.ones(steps, np.int64)
    return {
        "tokens": each << 31,
        "rows": each * len(arrays["row_base"]),
        "frames": each * len(arrays["frame_format.first"]),
        "sequences": np.diff(arrays["context.ptr"]),
        "formats": np.array([len(static["formats"]) for static in statics], np.int64),
        "residencies": np.array([1 + len(static["tiers"]) for static in statics], np.int64),
        "reasons": each * len(REASONS),
    }


def _check_range(name: str, values: npt.NDArray[Any], low: int, below: npt.NDArray[Any] | np.int64) -> None:
    wrong = np.flatnonzero((values < low) | (values >= below))
    if wrong.size:
        first = int(wrong[0])
        highest = int(np.broadcast_to(below, values.shape)[first]) - 1
        raise DamagedError(f"{name}[{first}]: found {values[first]}; allowed: {low} to {highest}")


def json_value(name: str, array: npt.NDArray[Any]) -> Any:
    """What an array of bytes says as JSON text. Raises DamagedError."""
    _demand(array.dtype == np.uint8 and array.ndim == 1, name, f"{array.dtype} {array.shape}", "bytes")
    try:
        return json.loads(array.tobytes())
    except ValueError:
        raise DamagedError(f"{name}: found no JSON text; allowed: bytes of one") from None


def check_statics(statics: object) -> list[dict[str, Any]]:
    """What a step has that is no array, for each distinct one. Raises DamagedError."""
    if not isinstance(statics, list):
        raise DamagedError(f"statics: found {type(statics).__name__}; allowed: a list")
    for static in statics:
        _check_static(static)
    return statics


def _check_static(static: object) -> None:
    names = {"phase", "geometry", "page_tokens", "formats", "tiers"}
    if not isinstance(static, dict) or set(static) != names:
        raise DamagedError(f"statics: found {str(static)[:80]}; allowed: {', '.join(sorted(names))}")
    _demand(isinstance(static["phase"], str), "statics.phase", static["phase"], "text")
    _check_count("page_tokens", static["page_tokens"], 1)
    for name, least in (("formats", 1), ("tiers", 0)):
        value = static[name]
        texts = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        _demand(texts and len(value) >= least, f"statics.{name}", value, f"a list of {least} texts or more")
    geometry = static["geometry"]
    wanted = {f.name: f.type for f in fields(Geometry)}
    if not isinstance(geometry, dict) or set(geometry) != set(wanted):
        raise DamagedError(f"statics.geometry: found {str(geometry)[:80]}; allowed: {', '.join(wanted)}")
    for name, kind in wanted.items():
        if kind is bool:
            _demand(isinstance(geometry[name], bool), f"statics.geometry.{name}", geometry[name], "a boolean")
        else:
            _check_count(f"geometry.{name}", geometry[name], 0 if name == "window" else 1)


def _check_count(name: str, value: object, least: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 31
    _demand(whole, f"statics.{name}", value, f"a whole number of at least {least}")


def check_step(step: Step) -> None:
    """What only the whole step shows: new tokens lie in the context, the context on its pages, appended tokens in
    their sequences, and the codes of frames are those of the step. Raises DamagedError."""
    context = step.context.astype(np.int64)
    _check_range("q_len of a step", step.q_len, 1, context + 1)
    _check_range("context of a step", step.context, 1, np.diff(step.table_ptr) * step.page_tokens + 1)
    _check_range("appends of a step", step.appends[:, 1], 0, context[step.appends[:, 0]])
    codes = {"frame_format": len(step.formats), "frame_residency": 1 + len(step.tiers)}
    for name, below in codes.items():
        _check_range(f"{name} of a step", getattr(step, name), 0, np.int64(below))
