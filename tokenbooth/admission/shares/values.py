"""What is shared, and what is said about it."""

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """Of a minute: REQUESTS and TOKENS. At once: PARALLEL calls of an owner, PLACES at a model."""

    REQUESTS = "requests_per_minute"
    TOKENS = "tokens_per_minute"
    PARALLEL = "parallel_calls"
    PLACES = "places"


OF_A_MINUTE = frozenset({Kind.REQUESTS, Kind.TOKENS})


class Limited(NamedTuple):
    """One limit of one owner: a key, an organization, or a deployment."""

    kind: Kind
    owner: str
    owner_id: str


class Answer(NamedTuple):
    """What is granted, all that was asked for or 0, and after how many seconds to ask again."""

    amount: int
    wait_s: int


class Grant(NamedTuple):
    """``needy``: more comes when there is some. ``owed``: others wait for some too, so what comes
    free of it is theirs."""

    amount: int
    needy: bool = False
    owed: bool = False
