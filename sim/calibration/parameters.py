"""What may be fitted: few, physical, bounded parameters of a machine (shared by all kernels) or of a kernel profile
(shared by all machines). Everything else of a config comes from its own sources and stays."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile

PRIOR = 0.5
"""Standard deviation of a parameter about its usual value, as a share of its range: decides what rows cannot."""
OF_RELATIVE = 0.13
"""The same about the value of a near relative: root mean square over the pairs of shipped profiles that
`validation/recipe.yaml` names, fitted without it."""


@dataclass(frozen=True)
class Parameter:
    """A key path, the range in which its true value may lie, and what to expect before any measurement."""

    path: str
    low: float
    high: float
    usual: float
    why: str
    spread: float = PRIOR


MACHINE = (
    Parameter("hbm.busy_fraction", 0.0, 0.25, 0.1, "refresh when hot and bus calibration are not published"),
    Parameter(
        "l2.effective_fraction", 0.4, 1.0, 1.0, "hashing and copies between partitions are not published"
    ),
    Parameter("l2.bandwidth_gb_s", 3000.0, 20000.0, 9000.0, "not measured on every chip"),
    Parameter("sm.max_inflight_kib", 12.0, 128.0, 48.0, "depth of an SM's memory queues is not published"),
    Parameter("launch.cta_ns", 20.0, 1500.0, 250.0, "time to start a CTA is not published"),
)
PROFILE = (
    Parameter("prologue_clk", 0.0, 9000.0, 2000.0, "instructions of a CTA before its first fetch"),
    Parameter(
        "code_trips", 0.0, 20.0, 4.5, "trips for code that data have pushed out of L2 are not published"
    ),
    Parameter("epilogue_clk", 0.0, 5000.0, 1000.0, "instructions of a CTA after its last tile"),
    Parameter("item_clk", 0.0, 6000.0, 1500.0, "instructions of a resident CTA between two work items"),
    Parameter(
        "tile_issue_clk", 0.0, 9000.0, 700.0, "issue slots of a tile of 128 dimensions beside MMA and softmax"
    ),
    Parameter(
        "softmax_ops_per_score",
        4.0,
        24.0,
        8.0,
        "issue slots of a score: masks, conversions, rescaling of the output",
    ),
    Parameter(
        "barrier_clk", 0.0, 4000.0, 600.0, "latency of a tile's dependent instructions, which other CTAs hide"
    ),
    Parameter("run_clk", 0.0, 40.0, 4.0, "issue slots of one contiguous run of a tile"),
    Parameter(
        "combine_clk", 0.0, 6000.0, 1500.0, "instructions and waits of a reduction CTA before its first fetch"
    ),
    Parameter("combine_split_clk", 0.0, 800.0, 100.0, "issue slots of the reduction for each split"),
)

MOST_PARAMETERS = 6
"""Of a profile: the first ones."""
RESOLUTION = 1000
"""Steps of a parameter's range that a fitted value is rounded to."""


def profile_parameters(profile: KernelProfile) -> tuple[Parameter, ...]:
    """Those that can move a time of this kernel and that times can tell apart, up to MOST_PARAMETERS."""
    resident = profile.scheduling != "grid"
    unused = {"epilogue_clk" if resident else "item_clk"}
    unused.add("run_clk" if "prefill" in profile.phase else "softmax_ops_per_score")
    if profile.ctas_per_sm == 1 or "prefill" in profile.phase:
        unused.add("barrier_clk")  # alone on its SM, a CTA's latency is as its issue
    if profile.address != "tma":
        unused.add("run_clk")  # threads that gather take as long for one long run as for many short ones
    if profile.max_splits == 1:
        unused |= {"combine_clk", "combine_split_clk"}
    return tuple(p for p in PROFILE if p.path not in unused)[:MOST_PARAMETERS]


def expected(parameters: Sequence[Parameter], relative: KernelProfile) -> tuple[Parameter, ...]:
    """The parameters of a profile whose near relative is known."""
    found = ((p, getattr(relative, p.path)) for p in parameters)
    return tuple(p if v is None else replace(p, usual=_within(p, v), spread=OF_RELATIVE) for p, v in found)


def machine_start(hw: Hardware, parameters: Sequence[Parameter] = MACHINE) -> list[float]:
    """Values of machine parameters, within their bounds."""
    return [_within(p, _machine_value(hw, p.path)) for p in parameters]


def profile_start(
    profile: KernelProfile, hw: Hardware, parameters: Sequence[Parameter] | None = None
) -> list[float]:
    """Values of the profile's parameters, within their bounds; a profile without run_clk takes the machine's."""
    parameters = profile_parameters(profile) if parameters is None else parameters
    found = [getattr(profile, p.path) for p in parameters]
    return [
        _within(p, hw.gather.issue_clk if v is None else v) for p, v in zip(parameters, found, strict=True)
    ]


def with_machine(hw: Hardware, values: Mapping[str, float]) -> Hardware:
    """The machine with other values; bounds are the caller's."""
    sections: dict[str, dict[str, float]] = defaultdict(dict)
    for path, value in values.items():
        section, _, key = path.partition(".")
        sections[section][key] = value
    update = {name: getattr(hw, name).model_copy(update=keys) for name, keys in sections.items()}
    return hw.model_copy(update=update)


def named(parameters: Sequence[Parameter], values: Sequence[float]) -> dict[str, float]:
    """Values by key path, to a thousandth of the range and four digits: no fit tells more."""
    return {p.path: _rounded(p, v) for p, v in zip(parameters, values, strict=True)}


def _machine_value(hw: Hardware, path: str) -> float:
    section, _, key = path.partition(".")
    return float(getattr(getattr(hw, section), key))


def _rounded(parameter: Parameter, value: float) -> float:
    step = (parameter.high - parameter.low) / RESOLUTION
    whole = parameter.low + round((value - parameter.low) / step) * step
    return _within(parameter, float(f"{whole:.4g}"))


def _within(parameter: Parameter, value: float) -> float:
    return min(max(value, parameter.low), parameter.high)
