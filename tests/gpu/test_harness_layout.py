"""The points of the layout section: the same bytes, which lie as their names say."""

from collections import defaultdict

from gpu_harness.attention.layout import ODD_PAGES, SHAPES, Point, points


def test_layouts_of_a_shape_are_all_different_and_have_the_same_bytes() -> None:
    found = points()
    assert len(set(found)) == len(found)
    variants = defaultdict(set)
    for point in found:
        if (point.kv_heads, point.head_dim) == (8, 128):
            variants[point.batch, point.context].add(point.variant)
    assert [len(variants[shape]) for shape in SHAPES[:3]] == [16] * 3
    assert all(len(variants[shape]) >= 4 for shape in SHAPES)


def test_one_tensor_puts_values_a_power_of_two_after_keys_and_apart_does_not() -> None:
    page = 64 * 8 * 128 * 2
    for batch, context in SHAPES:
        whole, odd = Point(batch, context), Point(batch, context, one_pool=False)
        distance = whole.pages_to_values * page
        assert distance == batch * context * 8 * 128 * 2
        assert distance & (distance - 1) == 0
        assert odd.pages_to_values - whole.pages_to_values == ODD_PAGES


def test_splits_fill_the_chip_once() -> None:
    programs = {
        (p.batch, p.context): p.splits * p.batch * p.kv_heads for p in map(lambda s: Point(*s), SHAPES)
    }
    assert programs[16, 8192] == programs[4, 8192] == programs[1, 32768] == 128
    assert programs[256, 512] == 2048
