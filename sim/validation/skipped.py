"""Rows that are left out, as every command shows them: counts by reason, the first ids, all of them in a file."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence

from sim.validation.cases import Skipped
from sim.validation.truth import TruthRow

REASONS_SHOWN = 12
COLUMNS = ("id", "gpu", "kernel", "phase", "metric", "reason")


def in_file_order(skipped: Iterable[Skipped], rows: Sequence[TruthRow]) -> tuple[Skipped, ...]:
    order = {row.id: place for place, row in enumerate(rows)}
    return tuple(sorted(skipped, key=lambda s: order[s.row.id]))


def not_covered(row: TruthRow) -> Skipped:
    """A row of a kernel that a calibration is not for."""
    return Skipped(row, f"not covered: {row.phase} of {row.kernel} on {row.gpu}")


def counts_text(skipped: Iterable[Skipped]) -> str:
    """Kinds of reasons, the most frequent first; nothing where no row was left out."""
    reasons = Counter(s.reason.partition(": ")[0] for s in skipped)
    return ", ".join(f"{name} {count}" for name, count in reasons.most_common(REASONS_SHOWN))


def as_list(skipped: Iterable[Skipped]) -> list[dict[str, str]]:
    """For JSON."""
    return [{"id": s.row.id, "reason": s.reason} for s in skipped]


def as_csv(skipped: Iterable[Skipped]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for s in skipped:
        writer.writerow((s.row.id, s.row.gpu, s.row.kernel, s.row.phase, s.row.metric, s.reason))
    return text.getvalue()
