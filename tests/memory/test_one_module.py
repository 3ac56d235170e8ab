"""An entry point is one module: parts that it reaches on several ways are in it once, and do what Python does."""

import numpy as np
from numba import njit

from sim.memory.jit import compiled, inlined
from sim.memory.one_module import EntryCompiler, reached


@compiled
def doubled(value: int) -> int:
    return 2 * value


@inlined
def one_more(value: int) -> int:
    return doubled(value) + 1


@compiled
def least_sum(value: int, other: int) -> int:
    """Calls one part by itself and by another, and what numba brings along (min)."""
    return min(doubled(value) + one_more(value), other)


@njit(pipeline_class=EntryCompiler)
def sums(values: np.ndarray, other: int) -> int:
    total = 0
    for value in values:
        total += least_sum(value, other) + one_more(value)
    return total


def test_parts_that_share_a_part_are_linked_once_and_do_as_python_does() -> None:
    """2v + 2v + 1, at most 10, and 2v + 1: of 1, 2 and 3 that is 5 + 9 + 10 and 3 + 5 + 7."""
    assert sums(np.arange(1, 4), 10) == 24 + 15
    library = sums.overloads[sums.signatures[0]].library
    names = [function.name for function in library._final_module.functions if not function.is_declaration]
    assert len(names) == len(set(names))
    below = reached([least_sum.overloads[least_sum.signatures[0]].library])
    assert len(below) == len({id(library) for library in below})
    assert {doubled.overloads[s].library for s in doubled.signatures} & set(below)


def test_a_function_compiled_as_numba_does_may_call_a_part() -> None:
    @njit
    def plain(value: int) -> int:
        return least_sum(value, 100)

    assert plain(3) == 13


@compiled
def halved(value: int) -> int:
    return value // 2


@inlined
def one_less(value: int) -> int:
    return halved(value) - 1


def test_a_part_is_merged_as_it_says_whoever_is_compiled_first_with_it() -> None:
    @njit(pipeline_class=EntryCompiler)
    def less(value: int) -> int:
        return one_less(value)

    assert less(8) == 3
    merged = {}
    for part in (halved, one_less):
        made = part.overloads[part.signatures[0]].library._final_module.functions
        for function in made:
            if part.__name__ in function.name and not function.is_declaration:
                merged[part.__name__] = b"alwaysinline" in b" ".join(function.attributes)
    assert merged == {"halved": False, "one_less": True}
