"""The conclusion in plain language. Every sentence is chosen by the numbers, whichever way they fall."""

from dataclasses import dataclass, replace
from statistics import fmean

from reports.conclusion import Conclusion, Effect, Line
from reports.layout import row_label
from reports.model_error import is_floor
from reports.palette import CAUSE_TEXT
from reports.quantities import largest_stalls, mapping_of
from reports.study import Axis, Study
from reports.units import (
    axis_name,
    counted,
    listed,
    percent,
    signed_percent,
    time_text,
    value_text,
    value_with_unit,
)
from sim.result import RESOURCES

MOST_NAMED = 3
"""More combinations than this are counted and not listed in a sentence."""


@dataclass(frozen=True)
class Verdict:
    """`call`: yes, partly, no or worse for a study along a numeric axis, else plain."""

    call: str
    headline: str
    sentences: tuple[str, ...]


def verdict(study: Study, found: Conclusion) -> Verdict:
    if found.plan.x is None or not found.lines:
        return _single(study)
    said = _along(study, found, found.plan.x) if found.plan.x.numeric else _choice(study, found)
    if is_floor(study):
        floor = "All times are analytic floors, which no machine with these resources beats; nothing was simulated."
        return replace(said, sentences=(floor, *said.sentences))
    return said


def _along(study: Study, found: Conclusion, x: Axis) -> Verdict:
    name = axis_name(x.path)
    call = _call(found)
    paying = [line.label for line in found.lines if line.pays]
    total = len(found.lines)
    tied = all(line.whole.call == "tie" for line in found.lines)
    ties = "; every difference is a tie" if tied else ""
    headlines = {
        "yes": f"Yes: more {name} pays off in every combination.",
        "partly": f"It depends: more {name} pays off for {_few_or_count(paying, total)}, not for the rest.",
        "no": f"No: more {name} does not pay off here{ties}.",
        "worse": f"No: more {name} makes this slower.",
    }
    sentences = [_range(found, x), *_enough(found, x), *_area(found, x), *_reason(study, found, x)]
    sentences += [_effect(effect) for effect in found.effects]
    sentences += [*_mappings(study), *_failures(study)]
    return Verdict(call, headlines[call], tuple(sentences))


def _call(found: Conclusion) -> str:
    paying = sum(line.pays for line in found.lines)
    if paying == len(found.lines):
        return "yes"
    if paying:
        return "partly"
    losses = all(line.whole.call == "loss" for line in found.lines)
    return "worse" if losses else "no"


def _range(found: Conclusion, x: Axis) -> str:
    gains = [line.whole.gain for line in found.lines]
    low, high = signed_percent(min(gains)), signed_percent(max(gains))
    span = low if low == high else f"between {low} and {high}"
    ties = sum(line.whole.call == "tie" for line in found.lines)
    start = value_with_unit(x.path, x.base)
    text = (
        f"Over {counted(len(found.lines), 'combination')}, going from {start} to the best other value of "
        f"each changes the speed by {span}."
    )
    if not found.model.is_stated:
        return text
    error = f"the model's known error of ±{percent(max(line.error for line in found.lines), 0)}"
    if ties == len(found.lines):
        return f"{text} All of these are ties: none exceeds {error}."
    if ties:
        return f"{text} {_are(ties)} within {error}, and so a tie."
    return f"{text} All exceed {error}."


def _are(count: int) -> str:
    return "One is" if count == 1 else f"{count} are"


def _enough(found: Conclusion, x: Axis) -> list[str]:
    """Smallest value within 1% of the best, grouped over the lines."""
    groups: dict[str, list[str]] = {}
    for line in found.lines:
        groups.setdefault(value_with_unit(x.path, line.enough), []).append(line.label)
    name = axis_name(x.path)
    if len(groups) == 1:
        return [f"The smallest {name} within 1% of the best is {next(iter(groups))} in every combination."]
    total = len(found.lines)
    parts = [f"{value} for {_few_or_count(labels, total)}" for value, labels in groups.items()]
    return [f"The smallest {name} within 1% of the best: {'; '.join(parts)}."]


def _few_or_count(labels: list[str], total: int) -> str:
    return listed(labels) if len(labels) <= MOST_NAMED else f"{len(labels)} of {total} combinations"


def _area(found: Conclusion, x: Axis) -> list[str]:
    """The largest step from the first value, in mm2, and how gains compare with their share of the die."""
    last = max((step for line in found.lines for step in line.steps), key=lambda s: s.high, default=None)
    first = found.lines[0].steps[0]
    if last is None or first.area is None:
        return []
    spans = [sum(step.area.mm2 for step in line.steps if step.area) for line in found.lines]
    mib = max(sum(step.area.mib for step in line.steps if step.area) for line in found.lines)
    shares = [sum(step.area.die_share or 0 for step in line.steps if step.area) for line in found.lines]
    text = (
        f"{value_with_unit(x.path, last.high)} is {mib:.0f} MiB more on the device than "
        f"{value_with_unit(x.path, x.values[0])} and costs about {max(spans):.0f} mm²"
    )
    if not max(shares):
        return [f"{text}."]
    text += f", {percent(max(shares))} of the die."
    gaining = [line for line in found.lines if line.whole.call == "gain"]
    short = [line.label for line in gaining if not line.pays]
    named = _few_or_count(short, len(found.lines))
    if short:
        text += f" For {named} the gain is real, but smaller than the share of the die that it takes."
    elif gaining:
        text += (
            " Where the gain exceeds the model's error it also exceeds the share of the die that it takes."
        )
    return [text]


def _reason(study: Study, found: Conclusion, x: Axis) -> list[str]:
    """Where SM-time goes at the first value of x, on average over the combinations, so that shares still add up."""
    base = [r for row, r in study.done if row.axes[x.path] == x.base and r.stalls is not None]
    if not base:
        return []
    shares = {cause: fmean((r.stalls or {}).get(cause, 0.0) for r in base) for cause in CAUSE_TEXT}
    top = sorted(shares, key=lambda cause: -shares[cause])[:3]
    parts = [f"{CAUSE_TEXT[cause]} ({percent(shares[cause], 0)})" for cause in top if shares[cause] > 0.005]
    least, most = (percent(f(r.speed_of_light for r in base), 0) for f in (min, max))
    text = f"At {value_with_unit(x.path, x.base)} the largest shares of SM-time"
    text += f", on average over {counted(len(base), 'run')}," if len(base) > 1 else ""
    text += f" are {listed(parts)}; "
    text += "the run reaches " if len(base) == 1 else "the runs reach "
    text += (
        f"{least} of the tightest bound." if least == most else f"{least} to {most} of their tightest bounds."
    )
    full = shares["sram_full"]
    if x.path.endswith("sm.sram_kib"):
        text += f" Waiting for a free SRAM buffer, which more SRAM would shorten, is {percent(full)} of it."
    return [text]


def _effect(effect: Effect) -> str:
    value = value_text(effect.axis.path, effect.value)
    base = value_text(effect.axis.path, effect.axis.base)
    name = axis_name(effect.axis.path)
    low, high = signed_percent(effect.low), signed_percent(effect.high)
    span = low if low == high else f"{low} to {high}"
    calls = {
        "gain": "a gain in every pair",
        "loss": "a loss in every pair",
        "tie": "ties within the model's error",
        "mixed": "beyond the model's error in some pairs only",
    }
    pairs = counted(effect.count, "pair")
    return f"{name}, {value} against {base}: {span} in speed over {pairs}, {calls[effect.call]}."


def _mappings(study: Study) -> list[str]:
    """Which kernel the mapping search chose, and where it expands packed KV."""
    chosen = [mapping_of(result) for _, result in study.done]
    if not all("kernel" in mapping and "kv_heads_per_cta" in mapping for mapping in chosen):
        return []
    kernels = [str(mapping["kernel"]) for mapping in chosen]
    named = [f"{name} ({kernels.count(name)} of {len(kernels)} points)" for name in dict.fromkeys(kernels)]
    text = f"Kernel that the mapping search chose: {listed(named)}."
    wide = sum(mapping["kv_heads_per_cta"] > 1 for mapping in chosen)
    in_sram = sum(mapping.get("expand_in") == "sram" for mapping in chosen)
    if not wide and not in_sram:
        return [f"{text} One KV head per CTA, nothing expanded in SRAM, won at every point."]
    return [
        f"{text} Mappings with several KV heads per CTA won at {wide}, and kernels that expand KV in SRAM "
        f"at {in_sram} of {counted(len(chosen), 'point')}."
    ]


def _failures(study: Study) -> list[str]:
    if not study.failed:
        return []
    first = study.failed[0]
    count, verb = counted(len(study.failed), "point"), "has" if len(study.failed) == 1 else "have"
    return [
        f"{count} of {len(study.rows)} {verb} no result (first: {row_label(study, first)}: {first.error})."
    ]


def _choice(study: Study, found: Conclusion) -> Verdict:
    """x is a name (hardware, format): say who wins against the first, line by line."""
    x = found.plan.x
    if x is None:
        return _single(study)
    sentences = [_winner(line, x) for line in found.lines]
    sentences += [_effect(effect) for effect in found.effects]
    sentences += [*_mappings(study), *_failures(study)]
    row, result = found.fastest
    headline = f"Fastest: {row_label(study, row)}, {time_text(result.time_ns)}{_as_fast(found, x)}."
    return Verdict("plain", headline, tuple(sentences))


def _as_fast(found: Conclusion, x: Axis) -> str:
    """The others of the fastest point's line from which the model's error does not tell it apart."""
    least = found.fastest[1].time_ns
    line = next((line for line in found.lines if least in line.times_ns), None)
    if line is None:
        return ""
    same = [
        value_text(x.path, value)
        for value, time in zip(line.values, line.times_ns, strict=True)
        if value != line.best and time / least - 1 <= line.error
    ]
    return (
        f", a tie with {listed(same) if len(same) <= MOST_NAMED else f'{len(same)} others'}" if same else ""
    )


def _winner(line: Line, x: Axis) -> str:
    name, base = value_text(x.path, line.whole.high), value_text(x.path, line.whole.low)
    size, within = signed_percent(line.whole.gain), f"within the model's ±{percent(line.error, 0)}"
    calls = {
        "gain": f"{name} is faster than {base}: {size} in speed",
        "loss": f"{name} is slower than {base}: {size} in speed",
        "tie": f"{name} and {base} tie" + (f": {size} in speed is {within}" if line.error else ""),
    }
    text = calls[line.whole.call] + "."
    return f"{line.label}: {text}" if line.label else text


def _single(study: Study) -> Verdict:
    result = study.first
    name = result.tightest_bound()
    bound = RESOURCES.get(name, name)
    headline = (
        f"{time_text(result.time_ns)}: {percent(result.speed_of_light, 0)} of the tightest bound, "
        f"{bound} ({time_text(result.bound_ns)})."
    )
    if result.fidelity == "bound":
        headline = (
            f"At least {time_text(result.bound_ns)}, bound by {bound}: an analytic floor, not a simulation."
        )
    parts = [
        f"{CAUSE_TEXT.get(cause, cause)} ({percent(share, 0)})" for cause, share in largest_stalls(result, 3)
    ]
    sentences = [f"SM-time goes mostly to {listed(parts)}."] if parts else []
    if result.what_if:
        gains = sorted(result.what_if.items(), key=lambda item: -item[1])[:3]
        named = [f"{name.replace('_', ' ')} {speedup:.2f}x" for name, speedup in gains if speedup > 1.005]
        sentences.append(f"What fixing one thing would buy: {listed(named)}.")
    rate = result.tokens_per_s()
    if rate:
        sentences.append(f"{rate:.0f} tokens per second.")
    return Verdict("plain", headline, tuple(sentences))
