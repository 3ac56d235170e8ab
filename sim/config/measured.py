"""Schema of measured values: what silicon showed for the quantities that `pagewalk characterise` simulates."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.config.fields import PAIR, Float, Section, broken_rule

Quantity = Literal[
    "l2_near_latency",
    "l2_second_plateau",
    "memory_latency",
    "page_walk_latency",
    "l2_read",
    "memory_read",
    "memory_write",
]
Source = Annotated[str, Field(min_length=6, description="public document, file or paper, and conditions")]


class Measurement(Section):
    """One published value of a quantity."""

    value: Float = Field(gt=0, description="in `unit`")
    unit: Literal["ns", "cycles", "GB/s"] = Field(description="of the value")
    clock_ghz: Float | None = Field(
        default=None, gt=0, le=10, description="clock of the measurement, for cycles"
    )
    source: Source

    @model_validator(mode="after")
    def cycles_have_a_clock(self) -> Self:
        if (self.unit == "cycles") != (self.clock_ghz is not None):
            raise broken_rule("found cycles or clock_ghz alone; allowed: both or neither", ("clock_ghz",))
        return self

    @property
    def in_base_unit(self) -> float:
        """ns or GB/s."""
        return self.value / self.clock_ghz if self.clock_ghz is not None else self.value


class Curve(Section):
    """Published points of a curve."""

    points: list[Annotated[tuple[Float, Float], PAIR]] = Field(min_length=1, description="[x, GB/s] each")
    source: Source


class Measured(Section):
    """What is known of one machine."""

    quantities: dict[Quantity, list[Measurement]] = Field(
        default_factory=dict, description="values by quantity; several where sources disagree"
    )
    replay: Curve | None = Field(default=None, description="read bandwidth over a replayed footprint in KiB")
    inflight: Curve | None = Field(
        default=None, description="read bandwidth over resident threads of 8 B each"
    )
