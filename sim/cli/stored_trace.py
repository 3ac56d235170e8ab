"""Engine traces in files: one step and the workload that it came from, to be run later on any machine."""

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from sim.config.load import load_workload, model_of
from sim.config.problems import shown
from sim.config.workload import MixedFormat, Workload
from sim.errors import InputError

if TYPE_CHECKING:
    from kernels_ref.trace import Step

ENTRY = "workload.npy"
FIXED = (
    "kind",
    "model",
    "phase",
    "batch",
    "context",
    "q_len",
    "causal",
    "kv_format",
    "page_tokens",
    "page_order",
    "shared_prefix",
    "tensor_parallel",
    "tier",
)
"""Keys that the stored step already answers: a setting may not contradict them."""
OPEN = ("tier.policy", "model.weights_g")
"""Keys below these that it leaves open."""


def write_stored(path: Path, workload: Workload, step: "Step") -> None:
    """Write the trace file; it appears whole or not at all. Raises InputError where it cannot be written."""
    from kernels_ref.engine_trace_io import EngineTraceWriter
    from kernels_ref.errors import InputError as EngineInputError

    spec = workload.model_copy(update={"model": model_of(workload)}).model_dump(
        mode="json", exclude_none=True
    )
    spec["context"] = step.context.tolist()
    whole = path.with_name(f".{path.name}.new")
    try:
        with EngineTraceWriter(whole) as writer:
            writer.write(step)
        with zipfile.ZipFile(whole, "a") as archive, archive.open(ENTRY, "w") as stream:
            text = np.frombuffer(json.dumps(spec).encode(), np.uint8)
            np.lib.format.write_array(stream, text, allow_pickle=False)
        os.replace(whole, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    except EngineInputError as error:
        raise InputError(str(error).replace(str(whole), str(path))) from None
    finally:
        whole.unlink(missing_ok=True)


def load_stored(path: Path, sets: Sequence[str] = ()) -> tuple[Workload, "Step"]:
    """The workload (with overrides of what the step leaves open) and the step.

    Raises InputError for a missing, damaged or foreign file, and for a setting that contradicts the step.
    """
    from kernels_ref.engine_trace_io import read_engine_trace

    steps = [step for step, _events in read_engine_trace(path)]
    if len(steps) != 1:
        raise InputError(f"{path}: {len(steps)} steps; allowed: one step (a run simulates one)")
    stored = _stored_spec(path)
    with tempfile.TemporaryDirectory(prefix="pagewalk-") as folder:
        copy = Path(folder) / f"{path.stem}.yaml"
        copy.write_text(yaml.safe_dump(stored))
        try:
            before, after = load_workload(str(copy)).spec, load_workload(str(copy), sets).spec
        except InputError as error:
            raise InputError(*(problem.replace(str(copy), str(path)) for problem in error.problems)) from None
    _refuse_another_step(path, before, steps[0])
    if problems := list(_contradictions(before, after)):
        raise InputError(*(f"{problem}, as the trace {path} was made" for problem in problems))
    if before.has_table and not after.has_table:
        allowed = f"flat or two_level, as the trace {path} has a block table"
        raise InputError(f"--set workload.table_layout: found none; allowed: {allowed}")
    return after, steps[0]


def _contradictions(before: Workload, after: Workload) -> Iterator[str]:
    """What a setting says of the stored step that is not so."""
    kept, found = (spec.model_dump(mode="json", include=set(FIXED)) for spec in (before, after))
    for path, said, was in _differences(found, kept, "workload"):
        if path.removeprefix("workload.") not in OPEN:
            yield f"--set {path}: found {shown(said)}; allowed: {shown(was)}"


def _differences(found: Any, kept: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Path and both values of all that differs, as deep as both are mappings."""
    if isinstance(found, dict) and isinstance(kept, dict):
        for key in found:
            yield from _differences(found[key], kept.get(key), f"{path}.{key}")
    elif found != kept:
        yield path, found, kept


def _refuse_another_step(path: Path, spec: Workload, step: "Step") -> None:
    """The workload in the file speaks of the step beside it. Raises InputError where it does not."""
    from sim.cli.job import geometry_of

    kv = spec.kv_format
    said = {
        "phase": (spec.phase, step.phase),
        "batch": (spec.batch, step.sequences),
        "context": (spec.context, step.context.tolist()),
        "page_tokens": (spec.page_tokens, step.page_tokens),
        "kv_format": ((kv.hot, kv.cold) if isinstance(kv, MixedFormat) else (kv,), step.formats),
        "model": (geometry_of(model_of(spec), spec.tensor_parallel, spec.causal), step.geometry),
    }
    for key, (workload, traced) in said.items():
        if workload != traced:
            found = f"found {str(workload)[:80]} in its workload and {str(traced)[:80]} in its step"
            raise InputError(f"{path}: damaged trace: {key}: {found}; allowed: the same in both")


def _stored_spec(path: Path) -> dict[str, Any]:
    from kernels_ref.engine_trace_check import json_value

    try:
        with zipfile.ZipFile(path) as archive:
            text = np.lib.format.read_array(io.BytesIO(archive.read(ENTRY)), allow_pickle=False)
        spec = json_value(ENTRY, text)
    except (KeyError, ValueError, zipfile.BadZipFile):
        raise InputError(f"{path}: no workload in it; allowed: a file that `pagewalk trace` wrote") from None
    return dict(spec)
