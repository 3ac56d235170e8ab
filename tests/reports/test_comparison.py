"""Side by side: direction decides between better and worse, the sampling error what is equal."""

from dataclasses import replace

from synthetic import make_result

from reports.comparison import compare, differing_inputs, times_text


def calls(name: str, *results) -> tuple[str, ...]:
    found = compare([str(i) for i in range(len(results))], list(results))
    return next(metric.calls for metric in found.metrics if metric.name == name)


def test_less_time_is_better_and_less_bandwidth_is_worse():
    slow, fast = make_result(228, "fp16", False, 1.0), make_result(228, "fp16", False, 0.5)
    assert calls("time", slow, fast) == ("=", "better")
    assert calls("time", fast, slow) == ("=", "worse")
    assert calls("device memory bandwidth", fast, slow) == ("=", "worse")


def test_a_difference_below_the_sampling_errors_is_equal():
    first = replace(make_result(228, "fp16", False, 1.0), sampling={"mode": "s", "relative_ci95": 0.02})
    second = replace(make_result(228, "fp16", False, 1.03), sampling={"mode": "s", "relative_ci95": 0.02})
    third = replace(second, time_ns=first.time_ns * 1.05)
    assert calls("time", first, second, third) == ("=", "=", "worse")


def test_what_follows_from_the_configs_alone_has_no_sampling_error():
    first = replace(make_result(228, "fp16", False, 1.0), sampling={"mode": "s", "relative_ci95": 0.02})
    first = replace(first, area_mm2={"total": 100.0}, bound_ns=100.0)
    second = replace(first, area_mm2={"total": 101.0}, bound_ns=99.0)
    assert calls("area", first, second) == ("=", "worse")
    assert calls("tightest bound", first, second) == ("=", "better")


def test_area_added_to_an_unknown_die_is_not_held_against_a_whole_die():
    known = replace(
        make_result(228, "fp16", False, 1.0), area_mm2={"sram_added": 0.0, "die": 814.0, "total": 814.0}
    )
    unknown = replace(known, area_mm2={"sram_added": 9.0})
    assert calls("area", known, unknown) == ("=", "-")


def test_a_ratio_near_one_has_the_digits_that_show_its_direction():
    assert [times_text(0.999993, call) for call in ("better", "=", "different")] == [
        "0.999993x",
        "1.000x",
        "1.000x",
    ]
    assert (times_text(0.936, "better"), times_text(None, "-")) == ("0.936x", "-")


def test_only_inputs_that_differ_are_listed_with_their_path():
    first, second = make_result(228, "fp16", False, 1.0), make_result(512, "int4", False, 1.0)
    assert differing_inputs([first, second]) == {
        "hw.sm.sram_kib": (228, 512),
        "workload.kv_format": ("fp16", "int4"),
    }


def test_relative_is_over_the_first_and_absent_without_a_value():
    first, second = make_result(228, "fp16", False, 1.0), make_result(228, "fp16", False, 2.0)
    found = compare(["a", "b"], [first, replace(second, bandwidth_gb_s={})])
    by_name = {metric.name: metric for metric in found.metrics}
    assert by_name["time"].relative == (1.0, 2.0)
    assert by_name["device memory bandwidth"].relative == (1.0, None)
    assert by_name["device memory bandwidth"].calls == ("=", "-")
