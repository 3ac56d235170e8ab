"""Errors that end a command. Each is constructible from its args alone, since SimPy re-raises so."""


class InputError(Exception):
    """What the user gave cannot be used. `problems` are complete one-line messages; exit code 2."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems: tuple[str, ...] = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


class StuckError(Exception):
    """The simulated machine cannot go on; the message names the waiting units; exit code 3."""


class SelfCheckError(Exception):
    """A result broke an invariant of the simulator: a defect of ours, never of the input; exit code 70."""
