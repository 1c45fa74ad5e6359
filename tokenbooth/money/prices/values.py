"""Frozen nouns of the price book."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Meter(StrEnum):
    """What is counted. ``CACHED_INPUT`` is the part of the input that a prefix cache served."""

    INPUT = "input"
    CACHED_INPUT = "cached_input"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Price:
    """One immutable version. ``lines`` are pico-units of the currency per token.

    Without a ``CACHED_INPUT`` line cached input costs what input costs.
    """

    version_id: str
    model: str
    lines: Mapping[Meter, int]


@dataclass(frozen=True, slots=True)
class PriceAsk:
    """Pico-units per token: a price of 1.25 per million tokens is 1_250_000."""

    model: str
    input_pico: int
    output_pico: int
    cached_input_pico: int | None = None


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """A version as the history lists it; it holds from ``effective_us`` until the next one."""

    price: Price
    sequence: int
    author: str
    effective_us: int
