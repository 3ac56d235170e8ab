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
Own = Annotated[bool, Field(description="measured with validation/gpu, whose folder the source names")]


class Measurement(Section):
    """One measured value of a quantity."""

    value: Float = Field(gt=0, description="in `unit`")
    unit: Literal["ns", "cycles", "GB/s"] = Field(description="of the value")
    clock_ghz: Float | None = Field(
        default=None, gt=0, le=10, description="clock of the measurement, for cycles"
    )
    own: Own = False
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
    """Measured points of a curve."""

    points: list[Annotated[tuple[Float, Float], PAIR]] = Field(min_length=1, description="[x, y] each")
    own: Own = False
    source: Source


class ReplayCurve(Curve):
    """Bandwidth over a footprint that is read pass after pass."""

    launches: bool = Field(
        default=False,
        description="each pass is a launch, timed whole less the way of a first hit, each part read by the same "
        "SM in every one; otherwise a steady stretch of passes, a part read by any SM that is free",
    )


class InflightCurve(Curve):
    """Bandwidth over resident threads, and what a thread does."""

    load_bytes: Literal[8, 16] = Field(default=8, description="of the one load that a thread has in flight")
    loop: bool = Field(
        default=False,
        description="threads load again and again; otherwise a block ends after its load and makes room for the next",
    )


class Measured(Section):
    """What is known of one machine."""

    quantities: dict[Quantity, list[Measurement]] = Field(
        default_factory=dict, description="values by quantity; several where sources disagree"
    )
    chase: Curve | None = Field(
        default=None, description="[KiB, ns]: a pointer chase by one SM over what all SMs had read"
    )
    tlb: Curve | None = Field(
        default=None, description="[MiB, ns]: a chase of one line in each page, the lines in L2"
    )
    replay: ReplayCurve | None = Field(default=None, description="[KiB, GB/s]: reads of a replayed footprint")
    inflight: InflightCurve | None = Field(default=None, description="[threads, GB/s]: reads from memory")
    gather: Curve | None = Field(
        default=None, description="[B, GB/s]: runs of this length at random places, one descriptor each"
    )
    table: Curve | None = Field(
        default=None, description="[B, ns]: a block-table entry, then the first word of the page of this size"
    )
