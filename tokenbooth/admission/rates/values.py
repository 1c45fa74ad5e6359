"""What a caller can be told about its rate limits."""

from dataclasses import dataclass
from typing import NamedTuple


class RateFigure(NamedTuple):
    """One limit per minute; ``reset_s`` is the seconds until all of it is free again."""

    limit: int
    remaining: int
    reset_s: int


class RateState(NamedTuple):
    """The tighter of key and organization, for calls and for tokens."""

    requests: RateFigure
    tokens: RateFigure


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that refuses a call now; ``wait_s`` >= 1 is when it can accept it, if none come."""

    owner: str
    limit: str
    allowed: int
    wait_s: int
