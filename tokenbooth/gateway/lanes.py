"""What a WebSocket remembers of responses that are not stored: the last one of each of its streams.

It is in memory alone, within one bound for all of them, and gone with the socket.
"""

from dataclasses import dataclass
from typing import Any

from tokenbooth.content.responses.service import Content
from tokenbooth.gateway.tee import AnswerSpace
from tokenbooth.protocols.openai_responses import memory as words

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """The conversation up to one response. ``base`` is the stored response that it goes on from,
    if it does; ``content`` holds all that came after that."""

    response_id: str
    base: str | None
    content: Content

    def items(self) -> list[Json]:
        return words.conversation(self.content.items, self.content.response)


class SocketMemory:
    """Of one socket; ``bytes_max`` bounds one conversation."""

    def __init__(self, space: AnswerSpace, bytes_max: int) -> None:
        self._space = space
        self._bytes_max = bytes_max
        self._last: dict[str | None, Said] = {}
        self._closed = False

    def lane(self, name: str | None) -> "Lane":
        return Lane(self, name)

    def found(self, response_id: str | None) -> Said | None:
        """On whichever stream it is the last."""
        for said in self._last.values():
            if said.response_id == response_id:
                return said
        return None

    def put(self, name: str | None, said: Said) -> None:
        """In place of what is there; nothing where it is too large, or there is no room."""
        self.drop(name)
        size_bytes = said.content.size_bytes
        fits = size_bytes <= self._bytes_max and not self._closed
        if fits and self._space.take(size_bytes):
            self._last[name] = said

    def drop(self, name: str | None, response_id: str | None = None) -> None:
        """Forget the last response of a stream; with an id only if it is that one."""
        said = self._last.get(name)
        if said is not None and response_id in (None, said.response_id):
            del self._last[name]
            self._space.give_back(said.content.size_bytes)

    def close(self) -> None:
        self._closed = True
        for name in tuple(self._last):
            self.drop(name)


@dataclass(frozen=True, slots=True)
class Lane:
    """The memory as the calls of one stream use it."""

    memory: SocketMemory
    name: str | None

    def found(self, response_id: str | None) -> Said | None:
        return self.memory.found(response_id)

    def ended(self, said: Said | None) -> None:
        """A response of this stream came to its end; ``None`` for one that is stored."""
        self.memory.drop(self.name)
        if said is not None:
            self.memory.put(self.name, said)

    def failed(self, previous_id: str | None) -> None:
        """A call failed that went on from there: a client that tries again sends all of it."""
        if previous_id is not None:
            self.memory.drop(self.name, previous_id)
