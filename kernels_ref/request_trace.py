"""Recorded requests, whatever format they were published in: arrival, lengths and the identity of prompt
blocks.

`read_requests` is the one reader. Ids of prompt blocks are prefix-chained: an equal id means that the block
*and everything before it* is equal. The id of a part-filled last block is included, as the files have it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kernels_ref.block_ids import BlockIds
from kernels_ref.errors import InputError
from kernels_ref.request_formats import Columns, read_csv, read_json, read_jsonl
from kernels_ref.trace_file import open_text
from kernels_ref.trace_problems import TraceProblems

FORMATS = ".jsonl, .csv or .json, each also as .gz"


@dataclass(frozen=True)
class RequestTrace:
    """N requests in file order. Rows that failed when they were recorded are left out and counted in
    `failed`."""

    name: str
    arrival_s: npt.NDArray[np.float64] | None
    """[N] seconds; None in pure length files. Sessions of agent traces each have their own clock."""
    input_length: npt.NDArray[np.int64]
    """[N] prompt tokens."""
    output_length: npt.NDArray[np.int64]
    """[N] generated tokens."""
    blocks: BlockIds | None
    """Ids of prompt blocks; None where the trace records no prefix identity."""
    session: tuple[str, ...] | None
    """[N] session of each request, where the order inside a session matters."""
    failed: int = 0

    def __len__(self) -> int:
        return len(self.input_length)

    @property
    def block_tokens(self) -> int | None:
        return None if self.blocks is None else self.blocks.block_tokens

    @property
    def hash_ids(self) -> npt.NDArray[np.int64] | None:
        return None if self.blocks is None else self.blocks.ids

    def ids_of(self, request: int) -> npt.NDArray[np.int64] | None:
        """Block ids of one prompt, or None where there are none."""
        return None if self.blocks is None else self.blocks.row(request)


def read_requests(
    path: str | Path,
    *,
    block_tokens: int | None = None,
    start_s: float = 0.0,
    duration_s: float = 600.0,
    seed: int = 0,
) -> RequestTrace:
    """Read a request trace of any known format.

    `block_tokens` says how many tokens one id covers; without it the size is found from the lengths, and a
    size that does not fit them is an error. `start_s`, `duration_s` and `seed` concern ServeGen client
    files only, which are synthesised. Raises InputError with at most 20 problems, each `file:line: key:
    found; allowed`.
    """
    path = Path(path)
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix
    problems = TraceProblems(path.name)
    with open_text(path) as lines:
        if suffix == ".jsonl":
            columns = read_jsonl(lines, problems)
        elif suffix == ".csv":
            columns = read_csv(lines, problems)
        elif suffix == ".json":
            columns = read_json(lines, problems, start_s, duration_s, seed)
        else:
            raise InputError(f"{path}: format: found {path.suffix or 'no extension'}; allowed: {FORMATS}")
    problems.raise_if_any()
    return _trace_of(path.name, columns, block_tokens, problems)


def _trace_of(name: str, columns: Columns, block_tokens: int | None, problems: TraceProblems) -> RequestTrace:
    if not columns.input_length:
        raise InputError(f"{name}: no requests; at least one is needed")
    inputs = np.array(columns.input_length, np.int64)
    outputs = np.array(columns.output_length, np.int64)
    for key, values, least in (("input_length", inputs, 1), ("output_length", outputs, 0)):
        for row in np.flatnonzero(values < least):
            problems.add(columns.line[row], key, str(values[row]), f"at least {least}")
    problems.raise_if_any()
    blocks = None
    if columns.hash_ids:
        known = block_tokens or columns.block_tokens
        blocks = BlockIds.checked(columns.hash_ids, inputs, columns.line, known, problems)
    return RequestTrace(
        name=name,
        arrival_s=np.array(columns.arrival_s, np.float64) if columns.arrival_s else None,
        input_length=inputs,
        output_length=outputs,
        blocks=blocks,
        session=tuple(columns.session) if columns.session else None,
        failed=columns.failed,
    )
