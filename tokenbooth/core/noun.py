"""What a frozen noun is, where every call makes one."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def noun(kind: type[T]) -> type[T]:
    """A frozen dataclass to the type checker, which lets nobody set a field.

    At run time nothing guards its fields: a guarded one takes four times as long to make, and a
    call makes about fifty.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def named_noun(kind: type[T]) -> type[T]:
    """The same, with every field given by its name."""
    return dataclass(slots=True, unsafe_hash=True, kw_only=True)(kind)
