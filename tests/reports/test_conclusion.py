"""The conclusion is computed: it turns with the numbers, and calls small differences ties."""

import pytest
from synthetic import SRAM, Speed, flat, make_result, write_comparison, write_demo

from reports.area import added
from reports.conclusion import conclude
from reports.model_error import STATED, ModelError, judge
from reports.study import load
from reports.verdict import verdict

FIVE = ModelError(0.05, "a test")


def steep(sram: int, fmt: str, assist: bool) -> float:
    """Each step takes a fifth off the time."""
    return 0.8 ** SRAM.index(sram)


def worse(sram: int, fmt: str, assist: bool) -> float:
    return 1.2 ** SRAM.index(sram)


def only_int4(sram: int, fmt: str, assist: bool) -> float:
    return steep(sram, fmt, assist) if fmt == "int4" else 1.0


def small_gain(sram: int, fmt: str, assist: bool) -> float:
    """6% faster at 2 MiB: more than an error of 5%, less than the 7.2% of the die that it takes."""
    return 1 / 1.06 if sram == 2048 else 1.0


def said(tmp_path, speed: Speed, model: ModelError = FIVE, drop: frozenset[int] = frozenset()):
    study = load(write_demo(tmp_path / "demo", speed, drop))
    found = conclude(study, model)
    return found, verdict(study, found)


@pytest.mark.parametrize(
    ("speed", "call", "headline"),
    [
        (flat, "no", "No: more SRAM per SM does not pay off here; every difference is a tie."),
        (steep, "yes", "Yes: more SRAM per SM pays off in every combination."),
        (worse, "worse", "No: more SRAM per SM makes this slower."),
        (small_gain, "no", "No: more SRAM per SM does not pay off here."),
    ],
)
def test_the_headline_follows_the_numbers(tmp_path, speed, call, headline):
    _, words = said(tmp_path, speed)
    assert (words.call, words.headline) == (call, headline)


def test_a_gain_for_one_format_only_is_said_to_be_so(tmp_path):
    _, words = said(tmp_path, only_int4)
    assert words.call == "partly"
    assert "INT4 / software block table and INT4 / hardware assist" in words.headline
    assert "4 are within" in words.sentences[0]


def test_a_gain_smaller_than_its_share_of_the_die_does_not_pay(tmp_path):
    found, words = said(tmp_path, small_gain)
    assert [line.whole.call for line in found.lines] == ["gain"] * 6
    assert any("smaller than the share of the die" in text for text in words.sentences)


def test_the_error_alone_decides_between_tie_and_gain(tmp_path):
    found, _ = said(tmp_path, small_gain, STATED)
    assert STATED.fraction > 0.06
    assert {line.whole.call for line in found.lines} == {"tie"}


def test_gains_of_steps_are_time_ratios_less_one(tmp_path):
    found, _ = said(tmp_path, steep)
    for line in found.lines:
        assert [step.gain for step in line.steps] == pytest.approx([0.25, 0.25, 0.25])
        assert line.whole.gain == pytest.approx(1 / 0.8**3 - 1)


def test_the_smallest_value_within_one_percent_of_the_best_is_found(tmp_path):
    """flat: times 1, 0.996, 0.992, 0.988 of the first; 1% over the best is 0.998, so 512 KiB is enough."""
    found, words = said(tmp_path, flat)
    assert {line.enough for line in found.lines} == {512}
    assert any("within 1% of the best is 512 KiB in every combination" in text for text in words.sentences)


def test_area_of_1_75_mib_more_on_132_sms_is_58_mm2_and_7_percent_of_the_die():
    hardware = {"sm": {"count": 132}, "area": {"sram_mm2_per_mib": 0.25, "die_mm2": 814}}
    more = added(hardware, "hw.sm.sram_kib", 256, 2048)
    assert more is not None
    assert more.mib == 231
    assert more.mm2 == pytest.approx(57.75)
    assert more.die_share == pytest.approx(0.0709, abs=1e-4)


def test_an_axis_that_is_no_memory_has_no_area():
    assert added({"sm": {"count": 1}, "area": {}}, "hw.sm.clock_ghz", 1, 2) is None


def test_effects_compare_pairs_that_differ_in_nothing_else(tmp_path):
    """The assist takes 1% off the time of each of the 12 pairs: 1/0.99 - 1 at 228 KiB."""
    found, words = said(tmp_path, lambda sram, fmt, assist: 0.8 if assist else 1.0)
    effect = next(e for e in found.effects if e.axis.path == "hw.translation.assist")
    assert (effect.count, effect.call) == (12, "gain")
    assert effect.low == pytest.approx(0.25)
    assert effect.high == pytest.approx(0.25)
    assert any(text.startswith("Translation, hardware assist") for text in words.sentences)


def test_sm_time_is_said_on_average_so_that_what_one_format_waits_for_is_not_left_out(tmp_path):
    """A third of the runs wait 39% at barriers, the others 3%: 15% on average, where a median says 3%."""
    study = load(write_demo(tmp_path / "demo", flat, frozenset()))
    for row, result in study.done:
        if row.axes["workload.kv_format"] == "fp8_e4m3":
            result.stalls.update(barrier=0.39, hbm_queue=0.04, hbm_service=0.03)
    said = "on average over 6 runs, are queue at HBM (21%), barrier (15%) and cap on bytes in flight (10%)"
    assert any(said in text for text in verdict(study, conclude(study, FIVE)).sentences)


def test_failed_points_are_named_in_the_conclusion(tmp_path):
    _, words = said(tmp_path, flat, drop=frozenset({3}))
    assert words.sentences[-1].startswith("1 point of 24 has no result (first: SRAM per SM 228 KiB, FP8")


@pytest.mark.parametrize(
    ("gain", "call"), [(0.06, "gain"), (0.05, "tie"), (0.0, "tie"), (-0.05, "tie"), (-0.06, "loss")]
)
def test_a_difference_not_larger_than_the_error_is_a_tie(gain, call):
    assert judge(gain, 0.05) == call


def test_short_kernels_are_held_to_their_own_larger_error():
    model = ModelError(0.05, "a test", short_fraction=0.3, short_ns=1000)
    assert (model.at(999), model.at(1000)) == (0.3, 0.05)
    assert ModelError(0.05, "a test").at(1) == 0.05


@pytest.mark.parametrize(
    ("factors", "headline"),
    [
        ({"a": 1.0, "b": 0.97}, "Fastest: b, 576.4 µs, a tie with a."),
        ({"a": 0.97, "b": 1.0}, "Fastest: a, 576.4 µs, a tie with b."),
        ({"a": 2.0, "b": 0.97, "c": 1.0}, "Fastest: b, 576.4 µs, a tie with c."),
        ({"a": 1.0, "b": 0.9}, "Fastest: b, 534.8 µs."),
    ],
)
def test_the_fastest_of_several_machines_is_not_called_so_without_those_that_tie(tmp_path, factors, headline):
    """The error is 5%: 0.97 to 1 is a tie, 0.9 to 1 is none. A whole run takes 2 x 1.2 GB / 4.8 TB/s / 0.85 + 6 us."""
    results = {name: make_result(228, "fp16", False, factor) for name, factor in factors.items()}
    study = load(write_comparison(tmp_path / "two", results))
    assert verdict(study, conclude(study, FIVE)).headline == headline
