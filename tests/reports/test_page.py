"""The page stands alone, the plots repeat to the byte, and every kind of folder is reported on."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic import make_result, write_comparison, write_demo

from reports import fig_bandwidth, fig_latency, fig_roofline
from reports.canvas import styled
from reports.conclusion import conclude
from reports.model_error import STATED
from reports.page import page
from reports.report import CHARTS, write_report
from reports.study import ReportError, load
from reports.units import value_text
from reports.verdict import verdict
from sim.causes import CAUSES

DEMO_CHARTS = {"latency", "speedup", "area", "bandwidth", "stalls", "sram_occupancy", "roofline"}
LOADING = ("src", "href", "data", "poster", "srcset", "action")


class References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.found += [value or "" for name, value in attrs if name in LOADING]


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    folder = write_demo(tmp_path_factory.mktemp("report") / "demo")
    write_report(folder)
    return folder


def page_without_figures(folder: Path) -> str:
    study = load(folder)
    found = conclude(study, STATED)
    return page(study, found, verdict(study, found), [])


def test_the_page_refers_to_nothing_outside_itself(demo):
    text = (demo / "report.html").read_text()
    seen = References()
    seen.feed(text)
    assert seen.found
    assert all(reference.startswith("data:image/svg+xml;base64,") for reference in seen.found)
    assert not seen.tags & {"script", "link", "iframe", "object"}
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_every_figure_is_there_as_png_and_svg_and_in_the_page(demo):
    text = (demo / "report.html").read_text()
    assert {path.stem for path in (demo / "plots").glob("*.svg")} == DEMO_CHARTS
    assert {path.stem for path in (demo / "plots").glob("*.png")} == DEMO_CHARTS
    assert all(f'<figure id="{name}">' in text for name in DEMO_CHARTS)


def test_figures_and_page_repeat_to_the_byte(demo, tmp_path):
    again = write_demo(tmp_path / "demo")
    write_report(again)
    for path in sorted((demo / "plots").glob("*.svg")):
        assert (again / "plots" / path.name).read_bytes() == path.read_bytes(), path.name
    assert (again / "report.html").read_bytes() == (demo / "report.html").read_bytes()


def test_an_svg_carries_no_date(demo):
    assert not [p for p in (demo / "plots").glob("*.svg") if "dc:date" in p.read_text()]


def test_the_page_holds_verdict_gains_area_points_assumptions_error_and_how_to_reproduce(demo):
    text = (demo / "report.html").read_text()
    for words in (
        "does not pay off here",
        "What each step buys and costs",
        "33.0 mm²",
        "4.05%",
        "All points",
        "Known error of the model: ±7%",
        "pagewalk sweep sweeps/sram_demo.yaml --out out/demo",
        "0123456789abcdef",
    ):
        assert words in text
    points = text[text.index("All points") : text.index("How far to trust")]
    assert points.count("<tr>") == 1 + 24


def test_assumptions_carry_their_source_and_estimates_are_marked(demo):
    text = (demo / "report.html").read_text()
    row = re.search(r"<tr><td><code>l2\.ways</code>.*?</tr>", text, re.DOTALL)
    assert row is not None
    assert '<span class="tag estimate">estimate</span>' in row[0]
    assert "8 to 32" in row[0]
    varied = re.search(r"<tr><td><code>sm\.sram_kib</code>.*?</tr>", text, re.DOTALL)
    assert varied is not None
    assert "axis of this study" in varied[0]


def test_names_from_configs_cannot_inject_markup(tmp_path):
    folder = write_demo(tmp_path / "demo")
    path = next((folder / "points").glob("*.json"))
    data = json.loads(path.read_text())
    data["workload"]["description"] = "<script>alert(1)</script>"
    path.write_text(json.dumps(data))
    assert "<script>" not in page_without_figures(folder)


def test_one_result_is_reported_with_its_bounds_and_what_if(tmp_path):
    data = make_result(228, "fp16", False, 1.0).to_dict() | {
        "what_if": {"double_hbm": 1.8, "free_launch": 1.0}
    }
    (tmp_path / "result.json").write_text(json.dumps(data))
    written = write_report(tmp_path)
    names = {path.stem for path in written.plots}
    assert names == {"bounds", "utilisation", "what_if", "stalls", "roofline"}
    assert "84% of the tightest bound, memory" in written.said.headline
    assert any("double hbm 1.80x" in text for text in written.said.sentences)


def test_a_bound_only_result_has_no_stalls_and_still_a_page(tmp_path):
    data = make_result(228, "fp16", False, 1.0).to_dict()
    data |= {"stalls": None, "bandwidth_gb_s": {}, "utilisation": {}, "mapping": {}, "energy_j": None}
    data |= {"fidelity": "bound", "time_ns": data["bound_ns"], "speed_of_light": 1.0}
    data["sampling"]["relative_ci95"] = None
    (tmp_path / "result.json").write_text(json.dumps(data))
    written = write_report(tmp_path)
    assert "stalls" not in {path.stem for path in written.plots}
    assert written.said.headline == "At least 500 µs, bound by memory: an analytic floor, not a simulation."


def test_floors_are_said_to_be_floors_and_have_no_error_of_a_simulation(tmp_path):
    folder = write_demo(tmp_path / "demo")
    for path in (folder / "points").glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"fidelity": "bound", "stalls": None}))
    written = write_report(folder)
    assert written.said.sentences[0].startswith("All times are analytic floors")
    assert not any("±" in text for text in (written.said.headline, *written.said.sentences))


def test_a_cut_on_an_axis_is_written_as_words():
    assert value_text("workload.mapping", {"tile_tokens": 64, "splits": 2}) == "tile_tokens 64, splits 2"


def test_failed_points_show_their_reason_in_the_table(tmp_path):
    folder = write_demo(tmp_path / "demo", drop=frozenset({0, 7}))
    assert page_without_figures(folder).count("SRAM too small") >= 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no sweep.resolved.yaml"),
        ({"result.json": "{}"}, "schema None is not"),
        ({"result.json": "not json"}, "Expecting value"),
        ({"sweep.resolved.yaml": "schema: other"}, "not a manifest"),
        ({"sweep.resolved.yaml": "a: [1"}, "cannot be read"),
    ],
)
def test_a_folder_without_results_is_refused_with_what_was_looked_for(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ReportError, match=message):
        load(tmp_path)


def test_a_sweep_where_nothing_finished_says_why(tmp_path):
    folder = write_demo(tmp_path / "demo", drop=frozenset(range(24)))
    with pytest.raises(ReportError, match="no finished point; SRAM too small"):
        load(folder)


def test_every_cause_has_a_colour_and_words():
    from reports.palette import CAUSE_STYLE, CAUSE_TEXT

    assert tuple(CAUSE_STYLE) == CAUSES
    assert set(CAUSE_TEXT) == set(CAUSES)
    assert len(set(CAUSE_STYLE.values())) == len(CAUSES)


def test_sixty_four_series_are_told_apart():
    from reports.palette import series_style

    assert len({tuple(series_style(place).values()) for place in range(64)}) == 64


def test_chart_names_are_distinct():
    assert len({chart.name for chart in CHARTS}) == len(CHARTS)


@pytest.mark.parametrize("chart", [fig_latency, fig_bandwidth])
@pytest.mark.parametrize("slow", [False, True])
def test_all_panels_show_all_of_their_points(chart, slow, tmp_path):
    """One scale for all panels; the first once set it, and points of later ones lay above their frame."""
    study = load(write_demo(tmp_path / "demo", lambda sram, fmt, assist: 6.0 if assist is slow else 1.0))
    with styled():
        panels = [axes for axes in chart.draw(study).axes if axes.get_visible() and axes.lines]
    assert len(panels) == 2
    for axes in panels:
        low, high = axes.get_ylim()
        heights = [float(y) for line in axes.lines for y in line.get_ydata()]
        assert low == 0
        assert max(heights) < high


def test_each_machine_has_its_own_roof_and_colour(tmp_path):
    """A roof of 66 SMs is half as high as one of 132, and meets the memory of its own machine."""
    machines = {"half": 66, "whole": 132}
    results = {}
    for name, sms in machines.items():
        results[name] = make_result(228, "fp16", False, 1.0)
        results[name].hardware["sm"]["count"] = sms
    with styled():
        (axes,) = fig_roofline.draw(load(write_comparison(tmp_path, results))).axes
    marks = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
    assert len({line.get_color() for line in marks}) == len(machines)
    flat = {round(float(y[0])) for line in axes.lines if (y := line.get_ydata())[0] == y[-1] and len(y) == 2}
    assert flat == {round(sms * 4096 * 1.83 / 1e3) for sms in machines.values()}
