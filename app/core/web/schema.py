"""Base of everything that goes over the wire: camelCase outside, snake_case inside.

A field typed `Maybe[X]` is left out of the JSON while it is None (the contract's "?"); `X | None` is sent as null.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from pydantic.alias_generators import to_camel

T = TypeVar("T")


class Absent:
    """Marks a field that is left out while it is None."""


Maybe = Annotated[T | None, Absent()]


def _flag(value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


# The framework asks pydantic to be lenient, and then "no" would be a flag and "7" a number.
Flag = Annotated[bool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(_whole)]


class ApiModel(BaseModel):
    """An answer."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, defer_build=True)

    @model_serializer(mode="wrap")
    def _leave_out_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        for name, alias in _absent_fields(type(self)):
            if getattr(self, name) is None:
                document.pop(alias, None)
                document.pop(name, None)
        return document


class ApiInput(BaseModel):
    """A request body; unknown members are ignored, texts are kept as sent."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, defer_build=True)


@cache
def _absent_fields(model: type[ApiModel]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, field.alias or name)
        for name, field in model.model_fields.items()
        if any(isinstance(mark, Absent) for mark in field.metadata)
    )
