"""Errors that are found after loading, by what a machine and a workload make together: where their keys were set."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sim.config.catalog import shown_path
from sim.errors import InputError

KEY = re.compile(r"(hw|workload)\.([\w.\[\]-]+): ")


class Placed(Protocol):
    """A resolved config, as far as it says where its keys were set: origin: key to place; path: of its file."""

    @property
    def origin(self) -> dict[str, str]: ...

    @property
    def path(self) -> str: ...


@contextmanager
def places_named(**configs: Placed) -> Iterator[None]:
    """In it, an InputError about `hw.KEY` or `workload.KEY` says which line or option set the key (or its section; else
    which file leaves it out). `configs`: the resolved `hw`, the resolved `workload`."""
    try:
        yield
    except InputError as error:
        raise InputError(*(_placed(problem, configs) for problem in error.problems)) from None


def _placed(problem: str, configs: Mapping[str, Placed]) -> str:
    match = KEY.match(problem)
    if match is None or match[1] not in configs:
        return problem
    config, key = configs[match[1]], match[2]
    return f"{_place(config, key)}: {key}: {problem[match.end() :]}"


def _place(config: Placed, key: str) -> str:
    while key:
        if key in config.origin:
            return config.origin[key]
        key = key.rpartition(".")[0]
    return shown_path(Path(config.path))
