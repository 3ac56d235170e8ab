"""Stored cases: reading one from its file, and comparing what was computed with what it expects.

A case is an .npz with a JSON string `meta` (op, name, shapes, options), input arrays and expected arrays.
Pickles are never loaded. Whatever is wrong with a file is one InputError that names the file and the array.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from kernels_ref.errors import InputError

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
"""Largest allowed |computed - expected| / (1 + |expected|) by the arithmetic used."""


@dataclass(frozen=True)
class Check:
    """One comparison: its largest error, relative to 1 + |expected|; `exact` ones must be zero.

    `note` is something worth knowing that was measured on the way.
    """

    what: str
    error: float
    exact: bool = False
    note: str = ""


@dataclass(frozen=True)
class Case:
    """A stored case. Missing arrays and options raise InputError when they are asked for."""

    file: str
    meta: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)

    @property
    def name(self) -> str:
        return str(self.meta.get("name", Path(self.file).stem))

    @property
    def op(self) -> str:
        return str(self.require("op"))

    def require(self, key: str) -> Any:
        if key not in self.meta:
            raise InputError(f"{self.file}: meta: {key} is missing; found {', '.join(sorted(self.meta))}")
        return self.meta[key]

    def has(self, key: str) -> bool:
        return key in self.arrays

    def array(self, key: str, ndim: int | None = None) -> NDArray[Any]:
        if key not in self.arrays:
            raise InputError(f"{self.file}: array {key} is missing; found {', '.join(sorted(self.arrays))}")
        values = self.arrays[key]
        if ndim is not None and values.ndim != ndim:
            raise InputError(f"{self.file}: array {key} has {values.ndim} dimensions; allowed: {ndim}")
        return values

    def integers(self, key: str, ndim: int) -> NDArray[np.int64]:
        values = self.array(key, ndim)
        if values.dtype.kind not in "iu":
            raise InputError(f"{self.file}: array {key} has type {values.dtype}; allowed: integers")
        return values.astype(np.int64)

    def floats(self, key: str, ndim: int | None = None) -> NDArray[Any]:
        """A floating array in its stored type; bfloat16, which NumPy files do not know, is uint16 or void."""
        values = self.array(key, ndim)
        if values.dtype == np.uint16 or (values.dtype.kind == "V" and values.dtype.itemsize == 2):
            values = values.view(ml_dtypes.bfloat16)
        if values.dtype != ml_dtypes.bfloat16 and values.dtype.kind != "f":
            raise InputError(f"{self.file}: array {key} has type {values.dtype}; allowed: floating numbers")
        return values

    def optional(self, key: str, ndim: int | None = None) -> NDArray[Any] | None:
        return self.array(key, ndim) if self.has(key) else None

    def number(self, key: str, default: float) -> float:
        value = self.meta.get(key)
        if value is None:
            return default
        return self.required_number(key)

    def required_number(self, key: str) -> float:
        value = self.require(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{self.file}: meta: {key}: {str(value)[:80]!r}; allowed: a number")
        return value


def load_case(path: Path) -> Case:
    """Read a case file. Raises InputError if it is missing, no zip, damaged, pickled or without meta."""
    try:
        arrays = _read_arrays(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        KeyError,
        SyntaxError,
        NotImplementedError,
    ) as error:
        raise InputError(f"{path}: not a readable .npz file: {_short(error)}") from None
    return Case(str(path), _parse_meta(path, arrays), arrays)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            found = "a truncated .npz file" if stream.read(2) == b"PK" else "not a zip archive"
        raise InputError(f"{path}: {found}; allowed: an .npz file written by numpy.savez")
    with np.load(path, allow_pickle=False) as stored:
        arrays = {key: _read_array(path, stored, key) for key in stored.files}
    for key, values in arrays.items():
        if not isinstance(values, np.ndarray):
            raise InputError(f"{path}: array {key} is no .npy array (pickles and other files are refused)")
    return arrays


def _read_array(path: Path, stored: Mapping[str, Any], key: str) -> NDArray[Any]:
    try:
        values: NDArray[Any] = stored[key]
        return values
    except (ValueError, MemoryError) as error:
        raise InputError(
            f"{path}: array {key} cannot be read (pickled objects are refused): {_short(error)}"
        ) from None


def _parse_meta(path: Path, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
    if "meta" not in arrays:
        raise InputError(f"{path}: array meta is missing; found {', '.join(sorted(arrays)) or 'nothing'}")
    if arrays["meta"].size != 1:
        raise InputError(f"{path}: array meta is not one JSON string")
    try:
        meta = json.loads(arrays["meta"].item())
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: array meta is not a JSON string: {_short(error)}") from None
    if not isinstance(meta, dict):
        raise InputError(f"{path}: meta is a JSON {type(meta).__name__}; allowed: an object")
    return meta


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def close(case: Case, what: str, computed: NDArray[Any], key: str) -> Check:
    """Compare with a stored floating array; infinities must match, NaN never does."""
    expected = case.array(key).astype(np.float64)
    if computed.shape != expected.shape:
        raise InputError(f"{case.file}: array {key} has shape {expected.shape}; computed {computed.shape}")
    return Check(what, largest_error(computed.astype(np.float64), expected))


def largest_error(computed: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """max |computed - expected| / (1 + |expected|); inf where one is not finite and the other differs."""
    same = computed == expected
    comparable = np.isfinite(computed) & np.isfinite(expected)
    if not np.all(same | comparable):
        return float("inf")
    error = np.zeros(expected.shape)
    np.subtract(computed, expected, out=error, where=comparable)
    np.divide(np.abs(error), 1.0 + np.abs(np.where(comparable, expected, 0.0)), out=error)
    return float(error.max(initial=0.0))


def exact(case: Case, what: str, computed: NDArray[Any], key: str) -> Check:
    """Compare bit for bit with a stored array; the error is the number of elements that differ."""
    expected = case.array(key)
    if computed.shape != expected.shape:
        raise InputError(f"{case.file}: array {key} has shape {expected.shape}; computed {computed.shape}")
    if computed.dtype.itemsize == expected.dtype.itemsize:
        different = _bits(computed) != _bits(expected)
    else:
        different = computed != expected
    return Check(what, float(np.count_nonzero(different)), exact=True)


def _bits(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values).view(np.dtype(f"u{values.dtype.itemsize}"))
