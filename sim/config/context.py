"""Lengths of the contexts of a batch, as a workload file gives them: a number, a list, drawn, or from a trace."""

from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, model_validator

from sim.config.fields import PAIR, Float, Int, Section, branch, broken_rule

MOST_SEQUENCES = 65536
"""Of a batch."""
Tokens = Annotated[Int, Field(ge=1, le=16_777_216)]


class UniformContext(Section):
    """Contexts drawn evenly between two lengths, with the run's seed."""

    uniform: Annotated[tuple[Tokens, Tokens], PAIR] = Field(description="[shortest, longest], drawn evenly")

    @model_validator(mode="after")
    def ordered(self) -> Self:
        low, high = self.uniform
        if low > high:
            raise broken_rule(f"found [{low}, {high}]; allowed: [lowest, highest]", ("uniform",))
        return self


class TraceContext(Section):
    """Contexts of the latest `batch` arrivals of a request trace before a time."""

    trace: str = Field(min_length=1, description="a shipped request trace, or the path of one")
    at_s: Float = Field(ge=0, le=1e9, description="time in the trace; the arrivals before it are taken")


def context_branch(value: Any) -> str:
    if isinstance(value, list):
        return "<list>"
    if isinstance(value, UniformContext) or (isinstance(value, dict) and "trace" not in value):
        return "<uniform>"
    return "<trace>" if isinstance(value, dict | TraceContext) else "<number>"


Context = Annotated[
    Annotated[Tokens, branch("number")]
    | Annotated[list[Tokens], Field(min_length=1, max_length=MOST_SEQUENCES), branch("list")]
    | Annotated[UniformContext, branch("uniform")]
    | Annotated[TraceContext, branch("trace")],
    Discriminator(context_branch),
]


def shortest_context(context: Any) -> int | None:
    """The shortest context where it is known before a trace is read, in tokens."""
    if isinstance(context, UniformContext):
        return context.uniform[0]
    if isinstance(context, TraceContext):
        return None
    return min(context) if isinstance(context, list) else int(context)
