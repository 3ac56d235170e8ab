"""Small machines and workloads on which a config key must show, and what a change of one key did to the result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import BaseModel

from sim.cli.job import engine_step, simulate
from sim.config.kernel_profile import KernelProfile
from sim.config.load import load_any_workload, load_hardware, load_profile, load_workload, model_of
from sim.config.schema_tree import SchemaTree
from sim.errors import InputError
from sim.simulate import Case, simulate_case

ECHO = ("hardware", "workload", "mapping", "seed", "wall_s", "pagewalk_version", "schema")
"""Parts of a result that repeat the question, or are text about the answer."""

Outcome = Mapping[str, Any]


@dataclass(frozen=True)
class Witness:
    """A machine and a workload by file, with what is changed in both (`hw.` and `workload.` paths)."""

    sets: tuple[str, ...]
    hardware: str = "h100_sxm"
    workload: str = "decode_16x8k"
    options: tuple[tuple[str, Any], ...] = ()

    def but(self, *sets: str) -> "Witness":
        return Witness((*self.sets, *sets), self.hardware, self.workload, self.options)


@dataclass(frozen=True)
class Nudge:
    """One key's change on a witness. `moves` is the part of the result that must differ; `error` is one of them."""

    witness: str
    value: str
    moves: str = "time_ns"
    dead: str = ""
    """Why nothing moves yet; the test then expects exactly that."""
    name: str = field(default="host", kw_only=True)
    """What stands for NAME in the key's path."""


def leaf_keys(model: type[BaseModel]) -> list[str]:
    """Every key path of a schema that holds a value; one per allowed name where names come from a closed list."""
    tree = SchemaTree(model)
    keys: list[str] = []
    for path, _ in tree.leaves():
        names = tree.keys(path[:-1]) if path[-1] == "KEY" else [str(path[-1])]
        keys += [".".join([*map(str, path[:-1]), name]) for name in names]
    return keys


def _outcome(run: Callable[[], Any]) -> Outcome:
    try:
        result = run()
    except InputError as error:
        return {"error": str(error)}
    return {key: value for key, value in result.to_dict().items() if key not in ECHO} | {"error": None}


@cache
def outcome_of(witness: Witness) -> Outcome:
    """The result without its echo, or the error of a run that is refused. Configs that do not load raise."""
    hw = load_hardware(witness.hardware, witness.sets).spec
    workload = load_any_workload(witness.workload, witness.sets).spec
    return _outcome(lambda: simulate(hw, workload, **dict(witness.options)))


@cache
def _profile_case(witness: Witness, profile: str) -> Case:
    hw = load_hardware(witness.hardware, witness.sets).spec
    workload = load_workload(witness.workload, witness.sets).spec
    model = model_of(workload)
    return Case(hw, workload, model, [load_profile(profile)], engine_step(workload, model, 0))


@cache
def profile_outcome(witness: Witness, profile: str) -> Outcome:
    """As `outcome_of`, with one kernel profile in stock."""
    return _outcome(lambda: simulate_case(_profile_case(witness, profile)))


def changed_profile_outcome(witness: Witness, profile: str, key: str, value: Any) -> Outcome:
    case = _profile_case(witness, profile)
    profile = case.profiles[0].model_dump()
    *sections, last = key.split(".")
    holder = profile
    for section in sections:
        holder = holder[section]
    holder[last] = value
    changed = KernelProfile.model_validate(profile)
    case = Case(case.hw, case.workload, case.model, [changed], case.step)
    return _outcome(lambda: simulate_case(case))
