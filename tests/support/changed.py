"""A value with some fields changed, whether it is a dataclass or a struct."""

import dataclasses
from typing import TypeVar

from msgspec import Struct, structs

T = TypeVar("T")


def changed(value: T, **fields: object) -> T:
    """A copy of a frozen value."""
    if isinstance(value, Struct):
        return structs.replace(value, **fields)
    return dataclasses.replace(value, **fields)  # type: ignore[type-var]
