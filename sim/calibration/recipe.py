"""What a joint calibration fits, as data: which machines and profiles, on which rows."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sim.calibration.parameters import MACHINE, PROFILE, Parameter, profile_parameters
from sim.config.catalog import Found, shipped, shown_path
from sim.config.fields import Int, Section
from sim.config.kernel_profile import KernelProfile
from sim.config.load import resolved_plain
from sim.config.merge import Tree, overlay
from sim.config.yaml_source import read_document
from sim.errors import InputError


class Recipe(Section):
    """Machines are fitted with the profiles as they are, then the profiles, and so on for some rounds."""

    rounds: Int = Field(
        default=2, ge=0, le=20, description="passes over all machines and profiles; 0: the overheads alone"
    )
    evaluations: Int = Field(default=5, ge=1, le=100, description="steps of each fit")
    rows: Int = Field(
        default=12,
        ge=2,
        le=10_000,
        description="most rows of a GPU, kernel, profile, KV type and head dimension",
    )
    fidelity: Literal["sampled", "tile"] = Field(
        default="tile",
        description="sampled: the tile-grain model is scaled to sampled runs at the starting values",
    )
    phase: Literal["decode", "prefill"] = Field(default="decode", description="phase of the rows")
    overheads: Literal["fitted", "shipped"] = Field(
        default="fitted",
        description="shipped: frameworks' overheads stay, as for a phase after another was fitted",
    )
    most_us: Int = Field(default=1500, ge=1, description="longer rows are judged, not fitted")
    parameters: list[str] = Field(description="machine parameters to fit")
    machines: list[str] = Field(description="shipped machines to fit")
    profiles: list[str] = Field(description="shipped kernel profiles to fit")
    kept: dict[str, list[str]] = Field(
        default_factory=dict, description="parameters that stay as shipped, by machine or profile"
    )
    relatives: dict[str, str] = Field(
        default_factory=dict,
        description="profiles that a profile is expected to be like, where its own rows do not tell",
    )

    def machine_parameters(self, machine: str) -> tuple[Parameter, ...]:
        kept = self.kept.get(machine, [])
        return tuple(p for p in MACHINE if p.path in self.parameters and p.path not in kept)

    def profile_parameters(self, profile: KernelProfile) -> tuple[Parameter, ...]:
        kept = self.kept.get(profile.name, [])
        return tuple(p for p in profile_parameters(profile) if p.path not in kept)


def read_recipe(path: Path) -> Recipe:
    """Raises InputError for what is no recipe, unknown names and unknown parameters."""
    found = Found(path, shown_path(path))
    tree = Tree(found.shown, {})
    overlay(tree, read_document(found.path, found.shown, "a mapping with parameters, machines and profiles"))
    recipe = resolved_plain(Recipe, tree, found).spec
    _check(found.shown, "parameters", recipe.parameters, [p.path for p in MACHINE])
    _check(found.shown, "machines", recipe.machines, shipped("hardware"))
    _check(found.shown, "profiles", recipe.profiles, shipped("kernel profile"))
    _check(found.shown, "kept", list(recipe.kept), recipe.machines + recipe.profiles)
    of_profiles = [p.path for p in PROFILE]
    for name, paths in recipe.kept.items():
        allowed = recipe.parameters if name in recipe.machines else of_profiles
        _check(found.shown, f"kept.{name}", paths, allowed)
    pairs = [*recipe.relatives, *recipe.relatives.values()]
    _check(found.shown, "relatives", pairs, recipe.profiles)
    return recipe


def _check(shown: str, key: str, wanted: list[str], allowed: list[str]) -> None:
    for name in wanted:
        if name not in allowed:
            raise InputError(f"{shown}: {key}: found {name!r}; allowed: {', '.join(sorted(allowed))}")
