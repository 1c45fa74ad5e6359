"""Cards: what the operator says of a model beyond its contract."""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """How far a model that can be called has come; a model that cannot has no card to show."""

    PRIVATE_PREVIEW = "private_preview"
    PUBLIC_PREVIEW = "public_preview"
    GA = "ga"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardAsk:
    """``None`` says nothing: the name is then the model's own, and no stage or end is told."""

    display_name: str | None = None
    stage: Stage | None = None
    shutdown_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What was said last; ``effective_us`` is when."""

    model: str
    sequence: int
    display_name: str | None
    stage: Stage | None
    shutdown_us: int | None
    effective_us: int
    author: str
