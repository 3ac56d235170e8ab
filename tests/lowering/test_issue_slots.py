"""Issue slots that profiles state: of a tile in proportion to its values, of a reduction by itself."""

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry, Step
from sim.config.kernel_profile import KernelProfile
from sim.config.load import load_hardware, load_profile
from sim.lowering.attention import build_attention
from sim.lowering.attention_tiles import LookUp
from sim.lowering.candidates import candidates
from sim.lowering.combine import build_combine
from sim.lowering.launch import Launch
from sim.lowering.units import attention_units
from sim.memory.addresses import build_address_map

H100 = load_hardware("h100_sxm").spec
LOOK_UP = LookUp(software=True, assist=False, entry_bytes=4, two_level=False)


def step_of(head_dim: int) -> Step:
    context = np.array([8192], np.int32)
    geometry = Geometry(32, 8, head_dim, head_dim)
    return make_step(Batch("decode", geometry, context, np.ones(1, np.int32), 64), 0)


def launches(head_dim: int, profile: KernelProfile) -> tuple[Launch, Launch | None]:
    step = step_of(head_dim)
    cut = candidates(step, [profile], None, H100, 4)[0].cut
    addresses = build_address_map(step, "NHD", 4)
    units = attention_units(step, cut)
    return build_attention(step, units, cut, H100, addresses, LOOK_UP), build_combine(
        step, units, cut, addresses
    )


@pytest.mark.parametrize(("head_dim", "share"), [(64, 0.5), (128, 1.0), (256, 2.0)])
def test_a_token_of_twice_the_values_takes_twice_the_issue_slots(head_dim: int, share: float) -> None:
    profile = load_profile("fa3").model_copy(update={"tile_issue_clk": 640.0})
    launch, _ = launches(head_dim, profile)
    assert launch.token_issue_clk == pytest.approx(share * 640 / profile.tile_tokens[0])


def test_a_reduction_kernel_has_its_own_entry_cost() -> None:
    profile = load_profile("fa3").model_copy(update={"prologue_clk": 3000.0, "combine_clk": 700.0})
    first, second = launches(128, profile)
    assert second is not None
    assert (first.prologue_clk, second.prologue_clk) == (3000, 700)


def test_the_last_cta_has_no_entry_but_what_its_profile_says() -> None:
    for clocks in (0.0, 700.0):
        profile = load_profile("xqa").model_copy(update={"combine_clk": clocks})
        _, second = launches(128, profile)
        assert second is not None
        assert (second.prologue_clk, second.follows_at_once, second.code_trips) == (clocks, True, 0)
