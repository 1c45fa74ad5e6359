"""Stages: how far a model, or one thing that it can do, is open."""

from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.core.noun import named_noun

WHOLE_MODEL = ""


class Stage(StrEnum):
    """In the order of a life; any stage may follow any other."""

    CLOSED = "closed"
    WAITLIST = "waitlist"
    PRIVATE_PREVIEW = "private_preview"
    PUBLIC_PREVIEW = "public_preview"
    GA = "ga"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAsk:
    """``capability`` is a feature's name, empty for the whole model; ``sunset_us`` is when it ends,
    ``successor`` what to use then; ``report`` is the digest of the readiness report that allowed
    the move, empty where none had to."""

    model: str
    stage: Stage
    capability: str = WHOLE_MODEL
    sunset_us: int | None = None
    successor: str | None = None
    reason: str = ""
    report: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What was decided last of one model or capability, by whom and when."""

    model: str
    capability: str
    sequence: int
    stage: Stage
    sunset_us: int | None
    successor: str | None
    reason: str
    report: str
    effective_us: int
    author: str


@named_noun
class Door:
    """What step 4 asks of the stages of one model; ``None`` in its place is a door that is open.

    ``headers`` tell of an end that was announced. ``parts`` are the capabilities with a stage of
    their own.
    """

    stage: Stage
    sunset_us: int | None = None
    successor: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    parts: tuple[Standing, ...] = ()
