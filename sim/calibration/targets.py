"""What a calibration is for: one machine, or one kernel profile on one machine or more."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.calibration.parameters import MACHINE, Parameter, profile_parameters
from sim.config.catalog import Kind, find, shipped
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.load import load_hardware, load_profile
from sim.config.merge import read_layers
from sim.errors import InputError
from sim.validation.cases import Mapped
from sim.validation.names import Names


@dataclass(frozen=True)
class Machine:
    """A machine as the user names it. `known_as`: its own name and those of the configs that it inherits."""

    given: str
    known_as: tuple[str, ...]
    spec: Hardware


@dataclass(frozen=True)
class Target:
    """Without `profile` the parameters of the (only) machine are fitted."""

    machines: tuple[Machine, ...]
    profile: KernelProfile | None = None
    profile_given: str = ""
    profile_known_as: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return MACHINE if self.profile is None else profile_parameters(self.profile)

    @property
    def name(self) -> str:
        machines = ", ".join(m.given for m in self.machines)
        return machines if self.profile is None else f"{self.profile_given} on {machines}"

    @property
    def base(self) -> str:
        """The config that the written one overrides."""
        return self.machines[0].given if self.profile is None else self.profile_given

    @property
    def shipped(self) -> str:
        """The shipped config that the target inherits, or is."""
        kind: Kind = "hardware" if self.profile is None else "kernel profile"
        known = self.machines[0].known_as if self.profile is None else self.profile_known_as
        return next((name for name in reversed(known) if name in shipped(kind)), known[-1])

    def covers(self, case: Mapped) -> bool:
        """A row of this very chip (not of a relative that its config stands for): decode for a machine, whose
        parameters are those of memory; any phase of a profile's own rows."""
        gpu = case.names.gpu
        if gpu.set or not any(gpu.hw in machine.known_as for machine in self.machines):
            return False
        if self.profile is None:
            return case.row.phase == "decode"
        return case.names.kernel.profile in self.profile_known_as

    def machine_of(self, case: Mapped) -> Hardware:
        return next(m.spec for m in self.machines if case.names.gpu.hw in m.known_as)

    def names_gpu(self, gpu: str, names: Names) -> bool:
        """Whether a cell of the gpu column means one of these machines."""
        found = next((g for g in names.gpus if re.search(g.gpu, gpu, re.IGNORECASE)), None)
        return found is not None and any(found.hw in machine.known_as for machine in self.machines)


def target_of(hardware: Sequence[str], profile: str | None) -> Target:
    """By names or paths. Raises InputError for unknown ones, and for several machines without a profile."""
    if len(hardware) > 1 and profile is None:
        raise InputError(
            f"--hw: found {len(hardware)} machines; allowed: one, unless --profile is fitted on them"
        )
    machines = tuple(Machine(h, _known_as("hardware", h), load_hardware(h).spec) for h in hardware)
    if profile is None:
        return Target(machines)
    spec = load_profile(profile)
    return Target(machines, spec, profile, _known_as("kernel profile", profile))


def _known_as(kind: Kind, given: str) -> tuple[str, ...]:
    return tuple(Path(layer.file).stem for layer in read_layers(kind, find(kind, given)))
