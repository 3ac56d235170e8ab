"""What a workload file names: model, kernel profile, trace. Paths are relative to the naming file."""

import os
from pathlib import Path
from typing import Any

from sim.config.catalog import Kind, find, looks_like_path
from sim.config.merge import Tree, forget, merge_mapping, overlay, read_layers
from sim.config.problems import KeyPath, Problem, path_text
from sim.config.workload import KEYS_OF_SHAPE, Model
from sim.config.yaml_source import Document
from sim.errors import InputError


def anchored(name: Any, folder: Path) -> Any:
    """A path as seen from the current folder (absolute when it is elsewhere); names stay names."""
    if not isinstance(name, str) or not looks_like_path(name) or os.path.isabs(name):
        return name
    absolute = os.path.abspath(folder / name)
    return os.path.relpath(absolute) if Path(absolute).is_relative_to(Path.cwd()) else absolute


def anchor_paths(layer: Document) -> None:
    """Make the paths of one workload file independent of the folder that the file lies in."""
    folder, data = layer.folder, layer.data
    for holder, key in (
        (data, "model"),
        (data, "kernel"),
        (data, "runtime"),
        (data.get("model"), "base"),
        (data.get("context"), "trace"),
    ):
        if isinstance(holder, dict) and key in holder:
            holder[key] = anchored(holder[key], folder)


def open_model(tree: Tree) -> None:
    """Turn `model: NAME` into `model: {base: NAME}`, so that single keys can be laid over it."""
    name = tree.data.get("model")
    if isinstance(name, str):
        tree.data["model"] = {"base": name}
        tree.places[("model", "base")] = tree.place_of(("model",))


def write_out_model(tree: Tree) -> None:
    """Replace a model that is a path, or a mapping with `base:`, by its merged keys."""
    model = tree.data.get("model")
    if isinstance(model, str) and looks_like_path(model):
        open_model(tree)
    model = tree.data.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("base"), str):
        return
    place = tree.place_of(("model", "base"))
    base = Tree(tree.file, {})
    try:
        for layer in read_layers("model", find("model", model.pop("base"))):
            overlay(base, layer)
    except InputError as error:
        raise InputError(*(f"{place}: model: {problem}" for problem in error.problems)) from None
    above, places = {"model": model}, dict(tree.places)
    tree.data["model"] = base.data
    tree.files[:0] = base.files
    tree.places.update({("model", *path): where for path, where in base.places.items()})
    tree.problems += [Problem(item.place, f"model.{item.key}", item.text) for item in base.problems]
    tree.trapped |= {("model", *path) for path in base.trapped}
    merge_mapping(tree, tree.data, above, (), places)


def drop_old_weights(tree: Tree, at: KeyPath) -> None:
    """An inherited number of weights is of another shape where a later file, or the command line, changed the shape."""
    weights = (*at, "weights_g")
    shape = {(*at, key) for key in KEYS_OF_SHAPE}
    changed = [tree.rank(path) for path in tree.places if path[: len(at) + 1] in shape]
    if weights not in tree.places or tree.rank(weights) >= max(changed, default=-1):
        return
    model = tree.data["model"] if at else tree.data
    model.pop("weights_g", None)
    forget(tree, weights)


def unknown_names(tree: Tree) -> list[Problem]:
    """Names of a model, of a kernel profile or of a runtime that nothing answers to."""
    problems = []
    kinds: tuple[tuple[str, Kind], ...] = (
        ("model", "model"),
        ("kernel", "kernel profile"),
        ("runtime", "runtime"),
    )
    for key, kind in kinds:
        name = tree.data.get(key)
        if isinstance(name, str) and not (key == "kernel" and name == "auto"):
            problems += unknown_name(tree, (key,), kind, name)
    return problems


def unknown_name(tree: Tree, path: KeyPath, kind: Kind, name: str) -> list[Problem]:
    """The problem of a name at `path` that is neither shipped nor a file."""
    try:
        found = find(kind, name)
    except InputError as error:
        return [Problem(tree.place_of(path), path_text(path), problem) for problem in error.problems]
    if not found.path.is_file():
        return [Problem(tree.place_of(path), path_text(path), f"found {found.shown}; no such file")]
    return []


def latent_problems(tree: Tree, kind: str, model: Model) -> list[Problem]:
    """The GEMMs of a step with latent attention do not follow from its heads: they have widths of their own."""
    if kind != "step" or model.attention != "mla" or model.latent is not None:
        return []
    path: KeyPath = ("model", "latent")
    text = (
        "not found; a step of an mla model needs the widths of its projections: {q_rank, key_dim, value_dim}"
    )
    return [Problem(tree.place_of(("model",)), path_text(path), text)]


def mask_problems(tree: Tree, causal: bool, model: Model) -> list[Problem]:
    """A sliding window is a causal mask with a beginning: without causality it has no meaning here."""
    if causal or model.attention != "window":
        return []
    path: KeyPath = ("causal",)
    text = "found false with a sliding window; allowed: true"
    return [Problem(tree.place_of(path), path_text(path), text)]


def parallel_problems(tree: Tree, degree: int, model: Model) -> list[Problem]:
    """Tensor parallelism deals out whole query heads; KV heads are shared out or, when too few, repeated."""
    if model.q_heads % degree == 0 and (model.kv_heads % degree == 0 or degree % model.kv_heads == 0):
        return []
    path: KeyPath = ("tensor_parallel",)
    text = (
        f"found {degree} for {model.q_heads} query and {model.kv_heads} KV heads; allowed: a divisor of both"
    )
    return [Problem(tree.place_of(path), path_text(path), f"{text}, or a multiple of the KV heads")]
