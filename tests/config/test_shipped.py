"""What ships loads, and every shipped hardware number has a source, defaults included."""

import pytest

from sim.config.catalog import folder, shipped
from sim.config.load import load_any_workload, load_hardware, load_model, load_profile, model_of
from sim.config.micro import Micro
from sim.config.provenance import numbers

MACHINES = {
    "a100_sxm_40gb",
    "a100_sxm_80gb",
    "a100_pcie_80gb",
    "h100_sxm",
    "h100_pcie",
    "h200_sxm",
    "b200",
    "l4",
    "l40s",
    "rtx4090",
    "rtx_pro_6000_server",
    "rtx_pro_6000_workstation",
    "mi300x",
    "mi355x",
    "ideal_paged",
}


def test_the_promised_machines_ship() -> None:
    assert set(shipped("hardware")) >= MACHINES


@pytest.mark.parametrize("name", shipped("hardware"))
def test_every_number_of_a_shipped_machine_has_a_source(name: str) -> None:
    spec = load_hardware(name).spec
    assert spec.name == name
    assert [key for key in numbers(spec) if key not in spec.sources] == []


@pytest.mark.parametrize("name", shipped("hardware"))
def test_an_estimate_of_a_shipped_machine_carries_a_range_or_says_why_not(name: str) -> None:
    spec = load_hardware(name).spec
    known = numbers(spec)
    bare = [key for key, source in spec.sources.items() if source.kind == "estimate" and key in known]
    assert [key for key in bare if spec.sources[key].range is None] == []


@pytest.mark.parametrize("name", shipped("workload"))
def test_every_shipped_workload_loads_with_its_model(name: str) -> None:
    spec = load_any_workload(name).spec
    assert spec.name == name
    assert spec.description
    assert isinstance(spec, Micro) or model_of(spec).layers >= 1


@pytest.mark.parametrize("name", shipped("model"))
def test_every_shipped_model_says_where_its_shape_is_from(name: str) -> None:
    assert load_model(name).source


@pytest.mark.parametrize("name", shipped("kernel profile"))
def test_every_shipped_kernel_profile_loads_under_its_own_name(name: str) -> None:
    assert load_profile(name).name == name


def test_shipped_files_are_found_in_the_packages() -> None:
    assert folder("hardware").name == "hwconfigs"
    assert folder("kernel profile").parts[-2:] == ("workloads", "kernels")
