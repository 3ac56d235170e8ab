"""Field types shared by the schemas: strict, bounded, each with a unit in its key and a sentence."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


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


class Section(BaseModel):
    """One mapping of a config file: unknown keys are errors, values keep their YAML type, nothing changes later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)
