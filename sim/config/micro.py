"""Schema of microbenchmarks as workloads (`kind: micro`): one point of one benchmark per file."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from sim.config.fields import Float, Int, Section, broken_rule

BenchmarkName = Literal["chase", "stream_read", "stream_write", "inflight", "gather", "block_table_chase"]
LOAD_BYTES = 8
NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "chase": ("footprint_mib",),
        "stream_read": ("footprint_mib",),
        "stream_write": ("footprint_mib",),
        "inflight": ("inflight_kib",),
        "gather": ("footprint_mib", "run_bytes"),
        "block_table_chase": ("footprint_mib", "run_bytes"),
    }
)
OPTIONAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "chase": ("l2_state",),
        "stream_read": ("passes", "sms", "l2_state"),
        "stream_write": ("passes", "sms"),
        "inflight": ("sms",),
        "gather": ("sms",),
        "block_table_chase": (),
    }
)
SIZES = ("footprint_mib", "run_bytes", "inflight_kib", "passes", "sms", "l2_state")


class Micro(Section):
    """One microbenchmark of the memory system, as people run them on silicon."""

    name: str = Field(default="", description="shown in results; none: the file's name")
    description: str = Field(default="", description="one line for `pagewalk workload list`")
    kind: Literal["micro"] = Field(description="a microbenchmark")
    benchmark: BenchmarkName = Field(
        description="chase: dependent loads of 32 B at random places; stream_read, stream_write: blocks of 4 KiB in "
        "order; inflight: blocks of threads with one 8-byte load each; gather: runs at random places; "
        "block_table_chase: an entry, then the page it names, and so on"
    )
    footprint_mib: Float | None = Field(
        default=None, gt=0, le=2**26, description="memory that the loads lie in; all but inflight need it"
    )
    run_bytes: Int | None = Field(
        default=None,
        ge=LOAD_BYTES,
        le=2**20,
        description="gather: bytes of a run; block_table_chase: of a page; a multiple of 8",
    )
    inflight_kib: Float | None = Field(
        default=None, gt=0, le=2**20, description="inflight: bytes that the chip has asked for at a time"
    )
    sms: Int | None = Field(
        default=None, ge=1, le=4096, description="SMs that take part, the first of the chip; none: all"
    )
    passes: Int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="streams: how often the footprint is read or written; none: enough for a steady stretch",
    )
    l2_state: Literal["cold", "warm"] = Field(
        default="cold", description="chase, stream_read: warm: the footprint was read several times before"
    )

    @model_validator(mode="after")
    def sizes_are_those_of_the_benchmark(self) -> Self:
        needed, optional = NEEDED[self.benchmark], OPTIONAL[self.benchmark]
        for key in SIZES:
            given = getattr(self, key) not in (None, "cold")
            if given and key not in (*needed, *optional):
                text = f"found with {self.benchmark}; allowed there: {', '.join((*needed, *optional))}"
                raise broken_rule(text, ("benchmark",), (key,))
            if not given and key in needed:
                raise broken_rule(f"found {self.benchmark} without {key}; allowed: both", ("benchmark",))
        return self

    @model_validator(mode="after")
    def runs_are_whole_loads(self) -> Self:
        if self.run_bytes is not None and self.run_bytes % LOAD_BYTES:
            text = f"found {self.run_bytes}; allowed: a multiple of {LOAD_BYTES}"
            raise broken_rule(text, ("run_bytes",))
        return self
