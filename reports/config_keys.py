"""Walking the resolved configs that every result carries."""

from typing import Any

ECHO = ("name", "description", "sources")
"""Top-level keys that say something about a config without deciding a result."""


def leaves(prefix: str, data: Any) -> list[tuple[str, Any]]:
    """(key path, value) of nested mappings, in file order."""
    if not isinstance(data, dict) or not data:
        return [(prefix, data)]
    return [
        leaf for key, value in data.items() for leaf in leaves(f"{prefix}.{key}" if prefix else key, value)
    ]
