"""Errors of the reference engine."""


class InputError(Exception):
    """What the user gave cannot be used. `problems` are complete one-line messages."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems: tuple[str, ...] = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)
