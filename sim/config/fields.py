"""Field types shared by the schemas: strict, bounded, each with a unit in its key and a sentence."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

RULE = "pagewalk_rule"


def yaml_number(value: Any) -> Any:
    """YAML 1.1 loads 1e9 as text; accept a string where a number is due, if it parses as one."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            try:
                return float(value)
            except ValueError:
                return value
    return value


def whole_number(value: Any) -> Any:
    value = yaml_number(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Float = Annotated[float, BeforeValidator(yaml_number), Field(allow_inf_nan=False)]
Int = Annotated[int, BeforeValidator(whole_number)]
WHOLE = BeforeValidator(whole_number)
"""Marks a Literal of numbers, so that it takes 128.0 and "128" as other numbers do."""

Latency = Annotated[Float, Field(ge=0, le=1e6)]
LEAST_GB_S = 1e-3
"""1 MB/s: below it, bytes of one request times picoseconds a byte leave the whole numbers that 64 bits hold."""
Bandwidth = Annotated[Float, Field(ge=LEAST_GB_S, le=1e6)]
Rate = Annotated[Float, Field(gt=0, le=1e6)]


def pair(value: Any) -> Any:
    """YAML has lists only; a strict tuple would refuse them."""
    return tuple(value) if isinstance(value, list) else value


PAIR = BeforeValidator(pair)


def broken_rule(text: str, *paths: tuple[str | int, ...]) -> PydanticCustomError:
    """The error of a rule between fields; `paths` (from the section that checks) are the keys that take part.

    The one that was set last gets the blame: a file that overrides one of them broke what its base had
    right. Of several in one file it is the last one given here.
    """
    return PydanticCustomError(RULE, "{text}", {"text": text, "paths": paths})


def branch(name: str) -> Tag:
    """Names one branch of a union; the mark keeps it apart from keys of the user in error locations."""
    return Tag(f"<{name}>")


def tag_of_union(part: str) -> bool:
    return part == "[key]" or (part.startswith("<") and part.endswith(">"))


def text_or_mapping(value: Any) -> str:
    return "<mapping>" if isinstance(value, dict | BaseModel) else "<text>"


TEXT_OR_MAPPING = Discriminator(text_or_mapping)


class Section(BaseModel):
    """One mapping of a config file: unknown keys are errors, types are strict, nothing changes later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)
