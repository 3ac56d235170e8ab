"""Everything wrong with a trace file, collected so that it is told at once."""

from kernels_ref.errors import InputError

MOST = 20


class TraceProblems:
    """Messages `file:line: key: found ...; allowed`, the first `MOST` of them, values cut to 80
    characters."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._messages: list[str] = []

    @property
    def full(self) -> bool:
        return len(self._messages) >= MOST

    def add(self, line: int, key: str, found: object, allowed: str) -> None:
        if not self.full:
            self._messages.append(f"{self._name}:{line}: {key}: found {str(found)[:80]}; {allowed}")

    def raise_if_any(self) -> None:
        if self._messages:
            raise InputError(*self._messages)
