"""A call with its answer, and what a connection waits for."""

from dataclasses import dataclass
from enum import Enum

from tokenbooth.edge.front import Asked
from tokenbooth.edge.http1.body import PushedBody
from tokenbooth.edge.http1.sink import ConnectionSink


class Wait(Enum):
    """What a connection waits for, and how long that may take."""

    HEAD = "head"  # the first bytes, or the rest of a head
    NEXT = "next"  # another call
    ANSWER = "answer"  # its bounds are elsewhere
    UNREAD = "unread"  # the rest of a body that nobody reads
    LAST = "last"  # the peer, to take what is unsent


@dataclass(slots=True)
class Exchange:
    """A call and its answer; ``last`` is the one after which the peer wants the end."""

    asked: Asked
    body: PushedBody
    sink: ConnectionSink
    last: bool
