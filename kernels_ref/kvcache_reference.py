"""Exact cache counts against a stored reference: asked and seen integers, side by side.

A reference names traces; for each it has the block size, request and unique-block counts, and the counts of
single-tier replays (`single.<capacity>.<policy>`) and of two exclusive tiers under LRU
(`two_tier.<C1+C2>`). Every integer counts; the rates beside them follow from the integers.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernels_ref.errors import InputError
from kernels_ref.kvcache import CacheReplay, ReplayCounts, Workload, prepare
from kernels_ref.policies.eviction import POLICIES
from kernels_ref.request_trace import read_requests

SINGLE_FIELDS = ("hit_blocks", "blocks", "evictions")
TWO_TIER_FIELDS = ("l1_hit_blocks", "l2_hit_blocks", "blocks", "demotions", "promotions")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One integer of the reference beside the one counted here."""

    trace: str
    case: str
    field: str
    asked: int
    seen: int

    @property
    def ok(self) -> bool:
        return self.asked == self.seen

    @property
    def relative_error(self) -> float:
        """Absolute difference over what was asked; over 1 where nothing was."""
        return abs(self.seen - self.asked) / max(abs(self.asked), 1)


def compare_with_reference(
    reference: Path, traces: Path, only: set[str] | None = None
) -> Iterator[Comparison]:
    """Replay every case of `reference` (of the traces `only`, if given) on the files in `traces`. Raises
    InputError for an unusable reference or a missing trace."""
    document = _load(reference)
    if only is not None:
        document = {name: asked for name, asked in document.items() if name in only}
    missing = [name for name in document if not (traces / name).is_file()]
    if missing:
        raise InputError(*(f"{reference}: {name}: no such trace in {traces}" for name in missing[:20]))
    for name, asked in document.items():
        try:
            yield from _of_trace(name, asked, traces / name)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(f"{reference}: {name}: malformed: {type(error).__name__} {error}") from None


def _load(reference: Path) -> dict[str, Any]:
    try:
        document = json.loads(reference.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{reference}: cannot be read: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{reference}: not JSON: {error}") from None
    if not isinstance(document, dict) or not document:
        raise InputError(f"{reference}: found {type(document).__name__}; an object with traces by name")
    return document


def _of_trace(name: str, asked: dict[str, Any], path: Path) -> Iterator[Comparison]:
    load = prepare(read_requests(path, block_tokens=asked.get("block_tokens")))
    for field, seen in (("requests", load.requests), ("unique_blocks", load.unique)):
        if field in asked:
            yield Comparison(name, "trace", field, _integer(asked[field], f"trace {field}"), seen)
    for capacity, policies in asked.get("single", {}).items():
        for policy, fields in policies.items():
            counts = _single(load, int(capacity), policy)
            yield from _fields(name, f"single.{capacity}.{policy}", fields, counts, SINGLE_FIELDS)
    for case, fields in asked.get("two_tier", {}).items():
        first, _, second = case.partition("+")
        counts = CacheReplay(load, int(first), tier=int(second)).run()
        yield from _fields(name, f"two_tier.{case}", fields, counts, TWO_TIER_FIELDS)


def _single(load: Workload, capacity: int, policy: str) -> ReplayCounts:
    if policy not in POLICIES:
        raise InputError(f"policy: found {policy}; allowed: {', '.join(POLICIES)}")
    return CacheReplay(load, capacity, POLICIES[policy]()).run()


def _fields(
    trace: str, case: str, asked: dict[str, Any], counts: ReplayCounts, names: tuple[str, ...]
) -> Iterator[Comparison]:
    for field in names:
        if field in asked:
            wanted = _integer(asked[field], f"{case} {field}")
            yield Comparison(trace, case, field, wanted, int(getattr(counts, field)))


def _integer(value: Any, where: str) -> int:
    """A count; 2.5 is no count that could be equal to 2."""
    if type(value) is not int:
        raise ValueError(f"{where}: found {value!r}; allowed: integers")
    return value


def not_compared(reference: Path) -> list[str]:
    """Integers of a reference that no replay counts, by their fields: they are neither right nor wrong."""
    found: dict[str, None] = {}
    for asked in _load(reference).values():
        single = [fields for policies in asked.get("single", {}).values() for fields in policies.values()]
        for group, names, cases in (
            ("", ("block_tokens", "requests", "unique_blocks"), [asked]),
            ("single.", SINGLE_FIELDS, single),
            ("two_tier.", TWO_TIER_FIELDS, list(asked.get("two_tier", {}).values())),
        ):
            for fields in cases:
                unknown = (name for name, value in fields.items() if name not in names and type(value) is int)
                found |= dict.fromkeys(f"{group}{name}" for name in unknown)
    return list(found)
