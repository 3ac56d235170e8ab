"""What the policy texts of `configs.csv` mean to the controller. A text that is not here is not modelled."""

from collections.abc import Mapping
from dataclasses import dataclass

from sim.errors import InputError
from sim.memory.dram.config import Page, Policy, Refresh
from sim.table_file import Row

SIMULATORS: dict[str, Policy] = {"dramsim3": "bank_queues", "ramulator2": "frfcfs"}
REFRESH: dict[str, dict[str, Refresh]] = {
    "dramsim3": {
        "none": "none",
        "none in practice": "none",
        "all-bank": "all_bank",
        "all-bank per rank": "all_bank",
    },
    "ramulator2": {
        "none": "none",
        "all-bank": "all_bank",
        "all-bank per pseudo-channel": "all_bank",
        "per-bank": "per_bank",
        "per-bank round robin": "per_bank",
        "per-bank (HBM3 rule)": "per_bank_sets",
    },
}
# Whether a precharge leaves rows alone that have a hit of the same age.
SCHEDULER: dict[str, dict[str, bool]] = {
    "dramsim3": {
        "per-bank FIFO command queues, round-robin over banks, first ready in queue; precharge only when no "
        "older same-bank command and (no pending row hit or 4 row hits served)": True
    },
    "ramulator2": {
        "FR-FCFS over the channel buffer, a precharge never closes a row with an older or equal-age pending "
        "hit": True,
        "FR-FCFS over the channel buffer, no row-hit protection": False,
    },
}
ROW_POLICY: dict[str, dict[str, Page]] = {
    "dramsim3": {"open page": "open", "closed page": "closed", "closed page (auto-precharge)": "closed"},
    "ramulator2": {"open page": "open", "closed page": "closed"},
}
# Each controller has one way to write, whose numbers are defaults of ControllerConfig.
WRITE_POLICY: dict[str, dict[str, None]] = {
    "dramsim3": {
        "drain when the write buffer is full, or holds more than 8 and all command queues are empty; drains "
        "the number present at that moment; writes to a buffered address merge; reads of a buffered write "
        "are forwarded": None
    },
    "ramulator2": {
        "write mode when writes > 0.8 of the buffer or the read buffer is empty; back to reads when writes "
        "< 0.2 and reads wait; writes to a buffered address coalesce; reads of a buffered write are "
        "forwarded": None
    },
}
_BY_COLUMN: dict[str, Mapping[str, Mapping[str, object]]] = {
    "refresh": REFRESH,
    "scheduler": SCHEDULER,
    "row_policy": ROW_POLICY,
    "write_policy": WRITE_POLICY,
}
POLICY_COLUMNS = ("simulator", *_BY_COLUMN)
SHOWN = 250  # the texts are sentences, and some differ at the end only


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of one configuration, as fields of ControllerConfig."""

    policy: Policy
    refresh: Refresh
    row_hit_first: bool
    page: Page


def is_modelled(row: Row) -> bool:
    """Whether the simulator of a configuration is known, so that its columns have a meaning here."""
    return row.text("simulator").strip() in SIMULATORS


def policies_of(row: Row) -> Policies:
    """Raises InputError for every text of a policy that is not modelled."""
    simulator = row.text("simulator").strip()
    if simulator not in SIMULATORS:
        raise InputError(row.problem("simulator", ", ".join(SIMULATORS)))
    found = {column: row.text(column).strip() for column in _BY_COLUMN}
    problems = [
        row.problem(column, " | ".join(known[simulator]), SHOWN)
        for column, known in _BY_COLUMN.items()
        if found[column] not in known[simulator]
    ]
    if problems:
        raise InputError(*problems)
    return Policies(
        SIMULATORS[simulator],
        REFRESH[simulator][found["refresh"]],
        SCHEDULER[simulator][found["scheduler"]],
        ROW_POLICY[simulator][found["row_policy"]],
    )
