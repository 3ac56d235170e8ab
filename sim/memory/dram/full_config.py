"""Timings without a column of their own in `configs.csv`: from its JSON of the simulator's full configuration."""

import json
from typing import Any

from sim.errors import InputError
from sim.memory.dram.truth_cells import MOST_TICKS
from sim.table_cells import Range
from sim.table_file import Row

COLUMN = "full_config"
TIMINGS = ("nRREFD", "nPPD")  # ticks between refreshes, and between precharges, of different banks
_TICKS = Range(0, MOST_TICKS)


def extra_timings(row: Row) -> dict[str, int]:
    """Those of TIMINGS that the row lists. Raises InputError for text that is not such JSON."""
    timing = _timing(row)
    found = {key: timing[key] for key in TIMINGS if key in timing}
    problems = [_problem(row, key, str(_TICKS)) for key, value in found.items() if not _is_ticks(value)]
    if problems:
        raise InputError(*problems)
    return {key: int(value) for key, value in found.items()}


def extra_problems(row: Row) -> list[str]:
    """Banks never keep each other waiting for longer than a bank itself. The row's cells are sound."""
    return [
        _problem(row, key, f"up to tRC ({row.text('tRC')})")
        for key, ticks in extra_timings(row).items()
        if ticks > row.integer("tRC")
    ]


def _timing(row: Row) -> dict[str, Any]:
    if not row.has(COLUMN):
        return {}
    try:
        config = json.loads(row.text(COLUMN))
    except (ValueError, RecursionError):
        config = None
    timing = config.get("timing", {}) if isinstance(config, dict) else None
    if not isinstance(timing, dict):
        raise InputError(row.problem(COLUMN, "a JSON object, whose timing is an object"))
    return timing


def _is_ticks(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _TICKS.holds(value)


def _problem(row: Row, key: str, allowed: str) -> str:
    value = str(_timing(row)[key])
    return f"{row.where}: {COLUMN}: timing.{key}: found {value[:80]!r}; allowed: {allowed}"
