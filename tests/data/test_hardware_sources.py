"""Every number of a shipped hardware file says where it comes from."""

import pytest

from sim.config.catalog import folder, shipped
from sim.config.load import load_hardware
from sim.config.provenance import numbers

FORBIDDEN = (".md", "/work", "shared/", "facts", "todo", "tbd")


@pytest.mark.parametrize("name", shipped("hardware"))
def test_every_number_has_a_source_defaults_included(name: str) -> None:
    spec = load_hardware(name).spec
    assert [key for key in numbers(spec) if key not in spec.sources] == []


@pytest.mark.parametrize("name", shipped("hardware"))
def test_every_estimate_and_calibrated_number_has_a_range_around_it(name: str) -> None:
    spec = load_hardware(name).spec
    values = numbers(spec)
    for key, source in spec.sources.items():
        if key in values and source.kind in ("estimate", "calibrated"):
            assert source.range is not None, key
            low, high = source.range
            assert low < high, key
            assert low <= values[key] <= high, key


@pytest.mark.parametrize("name", shipped("hardware"))
def test_sources_name_public_material(name: str) -> None:
    for key, source in load_hardware(name).spec.sources.items():
        assert len(source.ref) >= 6, key
        assert not any(word in source.ref.lower() for word in FORBIDDEN), key


@pytest.mark.parametrize("name", shipped("hardware"))
def test_a_config_is_called_like_its_file_and_describes_itself_in_a_line(name: str) -> None:
    spec = load_hardware(name).spec
    assert spec.name == name
    assert 10 < len(spec.description) <= 120
    assert "\n" not in spec.description


def test_no_file_is_longer_than_a_table_may_be() -> None:
    assert max(len(path.read_text().splitlines()) for path in folder("hardware").glob("*.yaml")) <= 300
