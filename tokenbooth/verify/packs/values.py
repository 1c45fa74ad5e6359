"""Frozen nouns of probe packs."""

from dataclasses import dataclass
from enum import StrEnum

PACK_VERSION = "probes/1"


class Family(StrEnum):
    """What a probe looks at. LENGTH, STOP and COUNT look at what is most often broken under load:
    whether parameters are honoured and answers whole."""

    ARITHMETIC = "arithmetic"
    EXTRACTION = "extraction"
    CONSTRAINT = "constraint"
    SCHEMA = "schema"
    NEEDLE = "needle"
    COUNT = "count"
    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Pack:
    """Which probes are asked: a secret ``seed`` that no endpoint can have seen, the families in
    turn, and ``needle_lines`` of text around each needle."""

    seed: int
    families: tuple[Family, ...] = tuple(Family)
    needle_lines: int = 40
    count_to: int = 24
    version: str = PACK_VERSION


@dataclass(frozen=True, slots=True)
class Probe:
    """One question. ``expected`` is what a right answer holds, in the way of its family; ``stop``
    is a stop string or empty; ``output_tokens_max`` is what is allowed."""

    number: int
    family: Family
    text: str
    expected: str
    output_tokens_max: int
    stop: str = ""
