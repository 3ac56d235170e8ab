"""The self-contained page: text, tables and figures of a study in one HTML file that loads nothing."""

import base64
from dataclasses import dataclass
from html import escape
from importlib import resources

from reports import assumptions, goals, tables
from reports.conclusion import Conclusion
from reports.study import Study
from reports.units import counted, percent, time_text
from reports.verdict import Verdict
from sim.result import Result


@dataclass(frozen=True)
class Picture:
    """One figure of the page."""

    name: str
    title: str
    caption: str
    svg: bytes


def page(study: Study, found: Conclusion, said: Verdict, pictures: list[Picture]) -> str:
    css = (resources.files("reports") / "page.css").read_text(encoding="utf-8")
    sections = [
        _head(study),
        _verdict(said),
        _section("Side by side", tables.side_by_side(study) if study.kind == "compare" else ""),
        _section("What each step buys and costs", "" if study.kind == "compare" else _gains(found)),
        _section("What the other choices do", tables.effects(found)),
        _section("Goals", goals.table_of(study)),
        _section("Figures", "\n".join(map(_figure, pictures))),
        _section("All points", tables.points(study)),
        _section("How far to trust this", _trust(study, found)),
        _section("Assumptions: hardware", assumptions.hardware_tables(study)),
        _section("Assumptions: workload", assumptions.workload_tables(study)),
        _section("How to reproduce", _reproduce(study)),
    ]
    body = "\n".join(filter(None, sections))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(study.name)}: pagewalk report</title>\n<style>\n{css}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>" if body else ""


def _head(study: Study) -> str:
    hardware = sorted({result.hardware["name"] for _, result in study.done})
    workload = sorted({result.workload["name"] for _, result in study.done})
    lines = [f"Hardware: {', '.join(hardware)}. Workload: {', '.join(workload)}.", *tables.line_titles(study)]
    if study.facts.get("description"):
        lines.insert(0, str(study.facts["description"]))
    about = dict.fromkeys(str(result.workload.get("description", "")) for _, result in study.done)
    lines += [text for text in about if text]
    first = study.first
    lines += _contexts(study)
    lines.append(
        f"{counted(len(study.rows), 'point')}, fidelity {first.fidelity}, seed {first.seed}, "
        f"pagewalk {first.pagewalk_version}."
    )
    return f"<h1>{escape(study.name)}</h1>\n" + "".join(
        f'<p class="soft">{escape(line)}</p>' for line in lines
    )


def _contexts(study: Study) -> list[str]:
    """How ragged the first point's batch is."""
    lengths, batch = study.first.workload.get("contexts"), study.first.workload.get("batch")
    if not lengths or lengths["min"] == lengths["max"]:
        return []
    return [
        f"Contexts of the {batch} sequences: {lengths['min']} to {lengths['max']} tokens, "
        f"mean {lengths['mean']:.0f}."
    ]


def _verdict(said: Verdict) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>\n" for sentence in said.sentences)
    head = f"<strong>{escape(said.headline)}</strong>"
    return f'<div class="verdict {said.call}">\n{head}\n<ul>\n{items}</ul>\n</div>'


def _gains(found: Conclusion) -> str:
    body = tables.gains(found)
    if not body:
        return ""
    if found.model.is_stated:
        ties = f"that is not larger than the model's known error ({_known(found)}) is called a tie, whatever its sign"
    else:
        ties = "of any size counts: no error of the model is stated for microbenchmarks and analytic floors"
    text = "Speed: how much more of the same work is done in the same time."
    return f"<p>{text} A difference {ties}.</p>\n{body}"


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.svg).decode()
    return (
        f'<figure id="{picture.name}">\n<div class="plate"><img alt="{escape(picture.title)}" '
        f'src="data:image/svg+xml;base64,{data}"></div>\n'
        f"<figcaption><b>{escape(picture.title)}.</b> {escape(picture.caption)}</figcaption>\n</figure>"
    )


def _known(found: Conclusion) -> str:
    """'±7%', or with the error of short kernels where the model has one."""
    model = found.model
    text = f"±{percent(model.fraction, 0)}"
    if model.short_fraction is None:
        return text
    return f"{text}; ±{percent(model.short_fraction, 0)} for kernels under {time_text(model.short_ns)}"


def _trust(study: Study, found: Conclusion) -> str:
    sampled = max((result.sampling.get("relative_ci95") or 0.0) for _, result in study.done)
    known = f"Known error of the model: {_known(found)}, from {escape(found.model.reference)}."
    none = "No error of the model is stated for microbenchmarks and analytic floors."
    text = (
        f"<p>{known if found.model.is_stated else none}</p>"
        "<p>Within one study the model is deterministic: a smaller difference is what the model says, but it "
        "is not evidence about silicon. Designs that do not exist (proposals) cannot be checked against "
        "silicon at all; the numbers they rest on are marked below.</p>"
    )
    if sampled:
        text += f"<p>Sampled runs add up to ±{percent(sampled)} (95%) to each time.</p>"
    return text


def _run_command(result: Result) -> str:
    """The command of a single run, as far as its result tells: overrides are in the assumptions."""
    names = f"{result.workload['name']} --hw {result.hardware['name']}"
    return f"pagewalk run {names} --fidelity {result.fidelity} --seed {result.seed} --out FOLDER"


def _reproduce(study: Study) -> str:
    facts = study.facts
    first = study.first
    lines = [
        str(facts.get("command") or _run_command(first)),
        f"pagewalk report {facts.get('folder') or 'FOLDER'}",
    ]
    rows = [
        ["version", escape(str(facts.get("pagewalk_version", first.pagewalk_version)))],
        ["seed", str(first.seed)],
        ["fidelity", escape(first.fidelity)],
    ]
    named = {
        "config_hash": "config hash",
        "code_hash": "code hash",
        "git_hash": "git commit",
        "python": "Python",
    }
    rows += [
        [text, f"<code>{escape(str(facts[key]))}</code>"] for key, text in named.items() if facts.get(key)
    ]
    return f"<pre>{escape(chr(10).join(lines))}</pre>\n{tables.table(['what', 'value'], rows, 2)}"
