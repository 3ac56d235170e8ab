"""What an interrupted joint calibration had finished: fitted values and blind errors, a line of JSON for each step."""

import json
import os
from pathlib import Path
from typing import Any

from sim.sweep.store import write_whole

NAME = "finished.jsonl"


class Finished:
    """Values by step, in a file of `folder` (none: kept nowhere). `key` says what decides them: steps of another
    recipe, truth file or simulator do not count, and a line that a kill cut short does not either."""

    def __init__(self, folder: Path | None, key: str = "") -> None:
        self._path = None if folder is None else folder / NAME
        self._values: dict[str, Any] = {}
        if self._path is None:
            return
        lines = _lines(self._path)
        lines = lines if lines and lines[0] == {"key": key} else [{"key": key}]
        self._values = {line["step"]: line["value"] for line in lines[1:]}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, "".join(map(_text, lines)))

    def __len__(self) -> int:
        return len(self._values)

    def get(self, step: str) -> Any:
        """The value of a step, None when it is still to be done."""
        return self._values.get(step)

    def put(self, step: str, value: Any) -> None:
        self._values[step] = value
        self._append({"step": step, "value": value})

    def _append(self, line: dict[str, Any]) -> None:
        if self._path is None:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_text(line))
            file.flush()
            os.fsync(file.fileno())


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line, allow_nan=False) + "\n"


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of the file, which may be missing."""
    if not path.exists():
        return []
    out = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            out.append(json.loads(text))
        except ValueError:
            break
    return out
