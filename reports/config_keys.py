"""Walking the resolved configs that every result carries."""

from typing import Any

ECHO = ("name", "description", "sources")
"""Top-level keys that say something about a config without deciding a result."""


def yaml_text(value: Any) -> str:
    """A value as the config file would have it: [fp8_e4m3, int4], true."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(yaml_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def leaves(prefix: str, data: Any) -> list[tuple[str, Any]]:
    """(key path, value) of nested mappings, in file order."""
    if not isinstance(data, dict) or not data:
        return [(prefix, data)]
    return [
        leaf for key, value in data.items() for leaf in leaves(f"{prefix}.{key}" if prefix else key, value)
    ]
