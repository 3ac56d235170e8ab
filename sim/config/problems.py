"""What is wrong with an input, and where: `file:line:column: key: found; allowed; did you mean X?`."""

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sim.errors import InputError

MAX_PROBLEMS = 20
MAX_VALUE_CHARS = 80

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Place:
    """Where a value was set: a line of a file, or (line 0) an option of the command line."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, order=True)
class Problem:
    """One line for the user."""

    place: Place
    key: str
    text: str

    def __str__(self) -> str:
        key = f" {self.key}:" if self.key else ""
        return printable(f"{self.place}:{key} {self.text}")


def printable(text: str) -> str:
    """Text in which control characters are spelt out: a message must not steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def path_text(path: Sequence[str | int]) -> str:
    """('context', 3) -> 'context[3]'; ('hbm', 'stacks') -> 'hbm.stacks'."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """A value as the user may recognise it, on one line, cut to 80 characters."""
    if value is None:
        return "null"
    if isinstance(value, str):
        text = printable(json.dumps(value[: MAX_VALUE_CHARS + 1], ensure_ascii=False))
    elif isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 512:
        text = f"{'-' if value < 0 else ''}a number of about {value.bit_length() * 3 // 10} digits"
    else:
        text = json.dumps(value, default=str)
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 3] + "..."


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The known word that a misspelt one most likely means."""
    matches = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    match = nearest(word, words)
    return f"; did you mean {match}?" if match else ""


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raise one InputError with all problems in file order (the first 20); nothing to say: return."""
    lines = [str(problem) for problem in sorted(set(problems))]
    if len(lines) > MAX_PROBLEMS:
        lines = [*lines[:MAX_PROBLEMS], f"... and {len(lines) - MAX_PROBLEMS} more problems"]
    if lines:
        raise InputError(*lines)


def refuse(file: str, text: str) -> InputError:
    """A problem of a whole file."""
    return InputError(printable(f"{file}: {text}"))
