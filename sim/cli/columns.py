"""Plain text tables: aligned columns that read the same on a terminal, in a file and in a pipe."""

from collections.abc import Sequence
from typing import Any


def number_text(value: Any) -> str:
    """A value of a config as YAML would write it; long lists are cut."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, list | tuple):
        items = [number_text(item) for item in value[:8]]
        more = f", ... {len(value)} in all" if len(value) > 8 else ""
        return f"[{', '.join(items)}{more}]"
    return str(value)


def columns(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Rows under each other, every column as wide as its widest cell, the last one as it is."""
    table = [list(header), ["-" * len(title) for title in header], *map(list, rows)] if header else list(rows)
    if not table:
        return ""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )
