"""What an interrupted job of many steps had finished: the value of each, in a file of its own."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim.sweep.store import Store


class Finished:
    """Values by step, kept in the store of `folder` (none: kept nowhere). `key` says what decides them beside the
    step: steps of another recipe, truth file or simulator do not count. Raises InputError for an unusable folder."""

    def __init__(self, folder: Path | None, key: str = "") -> None:
        self._key = key
        self._values: dict[str, Any] = {}
        self._store = None if folder is None else Store(folder)
        if self._store is not None:
            self._store.create()
            self._store.sweep_up()
            ours = [found for found in self._store.results() if found.get("key") == key]
            self._values = {found["step"]: found["value"] for found in ours}

    def __len__(self) -> int:
        return len(self._values)

    def once(self, step: str, compute: Callable[[], Any]) -> Any:
        """The value of a step, computed and kept unless that was done before."""
        if step not in self._values:
            self._values[step] = compute()
            if self._store is not None:
                digest = hashlib.sha256(f"{self._key}\n{step}".encode()).hexdigest()[:16]
                self._store.put(digest, {"key": self._key, "step": step, "value": self._values[step]})
        return self._values[step]
