"""From a name or path to a checked, frozen spec: read, inherit, override, validate.

All problems of a config are reported at once in one InputError, each with the place that set the value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from sim.config.catalog import Found, Kind, find, shipped
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.measured import Measured
from sim.config.merge import Tree, leaves, overlay, read_layers
from sim.config.micro import Micro
from sim.config.overrides import Override, apply_override, parse_overrides, unknown_path
from sim.config.problems import Problem, path_text, raise_problems, shown
from sim.config.provenance import Ledger, outside_range, take_sources, vouch
from sim.config.references import (
    anchor_paths,
    drop_old_weights,
    latent_problems,
    mask_problems,
    open_model,
    parallel_problems,
    unknown_names,
    write_out_model,
)
from sim.config.runtime import Runtime
from sim.config.schema_tree import schema_tree
from sim.config.translate import translated
from sim.config.workload import Model, Workload
from sim.config.yaml_source import Document
from sim.errors import InputError

Spec = TypeVar("Spec", bound=BaseModel)
AnySpec = TypeVar("AnySpec", bound=BaseModel)
WORKLOAD_KINDS = ("kernel", "step", "micro")


@dataclass(frozen=True)
class Resolved(Generic[Spec]):
    """A checked config.

    `spec` is to work with; `raw` is the merged plain data; `origin` maps a key path to "file:line:column".
    """

    spec: Spec
    raw: dict[str, Any]
    origin: dict[str, str]
    path: str


def load_hardware(name_or_path: str, sets: Sequence[str | Override] = ()) -> Resolved[Hardware]:
    """A hardware config with its overrides (those of `workload.` are ignored here).

    `spec.sources` has one entry per sourced number, sections expanded; a number that an override changed
    has none.
    """
    overrides = [item for item in parse_overrides(sets) if item.target == "hw"]
    found = find("hardware", name_or_path)
    tree, ledger = Tree(found.shown, {}), Ledger()
    layers = read_layers("hardware", found)
    _name_after_file(layers, found)
    for layer in layers:
        entries, problems = take_sources(layer)
        set_here = {path for path, _ in leaves(layer.data)}
        overlay(tree, layer)
        tree.problems += problems + vouch(ledger, tree.data, set_here, entries)
    for override in _known(overrides, tree, Hardware):
        if apply_override(tree, override):
            for path, _ in leaves(override.value, override.path):
                ledger.drop(path)
    tree.data["sources"] = {path_text(path): source for path, source in ledger.entries.items()}
    spec = _validated(Hardware, tree)
    raise_problems(outside_range(spec, ledger))
    return _resolved(spec, tree, found)


def load_workload(name_or_path: str, sets: Sequence[str | Override] = ()) -> Resolved[Workload]:
    """An attention workload (kernel or step). Raises InputError for a microbenchmark, which has no model."""
    resolved = load_any_workload(name_or_path, sets)
    if isinstance(resolved.spec, Micro):
        place = resolved.origin.get("kind", resolved.path)
        raise InputError(f"{place}: kind: found a microbenchmark; allowed here: kernel, step")
    return resolved


def load_any_workload(
    name_or_path: str, sets: Sequence[str | Override] = ()
) -> Resolved[Workload] | Resolved[Micro]:
    """A workload config with its overrides (those of `hw.` are ignored here).

    A model or kernel profile that it names must exist; a model given by a path, with `base:` or with an
    override of one of its keys is written out in place. Paths are relative to the file that gives them.
    """
    overrides = [item for item in parse_overrides(sets) if item.target == "workload"]
    found = find("workload", name_or_path)
    tree = Tree(found.shown, {})
    layers = read_layers("workload", found)
    _name_after_file(layers, found)
    for layer in layers:
        anchor_paths(layer)
        overlay(tree, layer)
    if _kind_of(tree, overrides) == "micro":
        for override in _known(overrides, tree, Micro):
            apply_override(tree, override)
        return _resolved(_validated(Micro, tree), tree, found)
    known = _known(overrides, tree, Workload)
    if any(override.path[0] == "model" and len(override.path) > 1 for override in known):
        open_model(tree)
    for override in known:
        apply_override(tree, override)
    write_out_model(tree)
    drop_old_weights(tree, ("model",))
    _check_kind(tree)
    spec = _validated(Workload, tree, unknown_names(tree))
    model = model_of(spec)
    raise_problems(
        parallel_problems(tree, spec.tensor_parallel, model)
        + mask_problems(tree, spec.causal, model)
        + latent_problems(tree, spec.kind, model)
    )
    return _resolved(spec, tree, found)


def _kind_of(tree: Tree, overrides: Sequence[Override]) -> Any:
    """The kind, which says what other keys there are, after the overrides."""
    values = [override.value for override in overrides if override.path == ("kind",)]
    return values[-1] if values else tree.data.get("kind")


def _check_kind(tree: Tree) -> None:
    """A kind that does not exist is told all that do, not those of one schema."""
    kind = tree.data.get("kind", WORKLOAD_KINDS[0])
    if kind not in WORKLOAD_KINDS:
        text = f"found {shown(kind)}; allowed: one of {', '.join(WORKLOAD_KINDS)}"
        tree.problems.append(Problem(tree.place_of(("kind",)), "kind", text))
        tree.trapped.add(("kind",))


def load_model(name_or_path: str) -> Model:
    """The shape of a model."""
    return _plain("model", name_or_path, Model).spec


def load_profile(name_or_path: str) -> KernelProfile:
    """A kernel profile."""
    return _plain("kernel profile", name_or_path, KernelProfile).spec


def load_runtime(name_or_path: str) -> Runtime:
    """How a runtime runs everything of a layer but attention."""
    return _plain("runtime", name_or_path, Runtime).spec


def load_part(kind: str, name_or_path: str) -> Resolved[Model] | Resolved[KernelProfile] | Resolved[Runtime]:
    """What a workload names: kind is model, kernel or runtime."""
    if kind == "model":
        return _plain("model", name_or_path, Model)
    if kind == "kernel":
        return _plain("kernel profile", name_or_path, KernelProfile)
    return _plain("runtime", name_or_path, Runtime)


def load_measured(name: str) -> Measured:
    """What silicon of this name showed; empty where nothing ships."""
    return (
        _plain("measured values", name, Measured).spec if name in shipped("measured values") else Measured()
    )


def model_of(workload: Workload) -> Model:
    """The shape that a workload names or writes out."""
    return load_model(workload.model) if isinstance(workload.model, str) else workload.model


def _name_after_file(layers: list[Document], found: Found) -> None:
    """Name and description are not inherited: results of a file must not look like those of its base."""
    own = layers[-1].data
    own.setdefault("name", found.path.stem[:80] or "unnamed")
    if len(layers) > 1:
        own.setdefault("description", f"based on {Path(layers[-2].file).stem}")


def _plain(kind: Kind, name_or_path: str, model: type[AnySpec]) -> Resolved[AnySpec]:
    found = find(kind, name_or_path)
    tree = Tree(found.shown, {})
    for layer in read_layers(kind, found):
        overlay(tree, layer)
    drop_old_weights(tree, ())
    return resolved_plain(model, tree, found)


def resolved_plain(model: type[AnySpec], tree: Tree, found: Found) -> Resolved[AnySpec]:
    """Validate a tree that needs nothing more."""
    return _resolved(_validated(model, tree), tree, found)


def _known(overrides: list[Override], tree: Tree, model: type[BaseModel]) -> list[Override]:
    schema = schema_tree(model)
    wrong = {override.key: problem for override in overrides if (problem := unknown_path(override, schema))}
    tree.problems += wrong.values()
    return [override for override in overrides if override.key not in wrong]


def _validated(model: type[AnySpec], tree: Tree, more: Sequence[Problem] = ()) -> AnySpec:
    try:
        spec = model.model_validate(tree.data)
    except ValidationError as error:
        raise_problems([*tree.problems, *more, *translated(error, tree, schema_tree(model))])
        raise
    raise_problems([*tree.problems, *more])
    return spec


def _resolved(spec: AnySpec, tree: Tree, found: Found) -> Resolved[AnySpec]:
    origin = {path_text(path): str(place) for path, place in tree.places.items() if path}
    return Resolved(spec, tree.data, origin, str(found.path))
