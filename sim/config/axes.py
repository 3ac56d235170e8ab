"""Loaders for the points of a sweep: a bad axis value is reported at its line of the sweep file."""

from collections.abc import Callable, Sequence

from sim.config.hardware import Hardware
from sim.config.load import Resolved, load_any_workload, load_hardware
from sim.config.micro import Micro
from sim.config.overrides import Override, parse_override
from sim.config.problems import Place
from sim.config.sweep import Sweep
from sim.config.workload import Workload

HardwareLoader = Callable[[str, Sequence[str]], Resolved[Hardware]]
WorkloadLoader = Callable[[str, Sequence[str]], Resolved[Workload] | Resolved[Micro]]


def axis_loaders(sweep: Resolved[Sweep]) -> tuple[HardwareLoader, WorkloadLoader]:
    """`load_hardware` and `load_any_workload` for settings "path=value" that come from the axes of `sweep`."""
    return (
        lambda name, sets: load_hardware(name, [axis_override(sweep, item) for item in sets]),
        lambda name, sets: load_any_workload(name, [axis_override(sweep, item) for item in sets]),
    )


def axis_override(sweep: Resolved[Sweep], setting: str) -> Override:
    """One axis value, with the place in the sweep file that gives it."""
    override = parse_override(setting)
    axis = setting.partition("=")[0]
    values = sweep.spec.axes.get(axis, [])
    item = f"axes.{axis}[{values.index(override.value)}]" if override.value in values else f"axes.{axis}"
    where = sweep.origin.get(item) or sweep.origin.get(f"axes.{axis}", sweep.path)
    return Override(override.target, override.path, override.value, Place(where))
