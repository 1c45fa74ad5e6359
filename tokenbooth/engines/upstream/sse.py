"""Server-sent events as a pure incremental fold (WHATWG HTML, section 9.2.6)."""

from tokenbooth.core.noun import noun

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event, or a line, is over the bound."""


@noun
class SseEvent:
    """``data`` holds the data lines joined by line feeds; ``name`` is empty for "message"."""

    name: str
    data: bytes


class SseFold:
    """Feed bytes cut anywhere; get the events that they complete.

    Comments, ``id`` and ``retry`` are skipped; an event that the stream leaves open is dropped.
    """

    def __init__(self, event_bytes_max: int) -> None:
        self._bytes_max = event_bytes_max
        self._begun = False
        self._after_cr = False
        self._pieces: list[bytes] = []
        self._name = b""
        self._data: list[bytes] = []
        self._held_bytes = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Raises EventTooLarge when what is held exceeds the bound."""
        if not (self._held_bytes or self._after_cr or self._name) and chunk.endswith(b"\n\n"):
            simple = self._simple_events(chunk)
            if simple is not None:
                self._begun = True
                return simple
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        events: list[SseEvent] = []
        for line in chunk.splitlines(keepends=True):
            self._hold(len(line))
            if not line.endswith((b"\n", b"\r")):
                self._pieces.append(line)
                break
            self._after_cr = line.endswith(b"\r")
            whole = line.rstrip(b"\r\n")
            if self._pieces:
                whole = b"".join([*self._pieces, whole])
                self._pieces.clear()
            self._line(whole, events)
        # Only a carriage return that ends the chunk can have its line feed in the next one.
        self._after_cr = self._after_cr and not self._pieces
        return events

    def _simple_events(self, chunk: bytes) -> list[SseEvent] | None:
        """What nearly every chunk of a stream is: events of one data line each, and no more. None
        for anything else."""
        if b"\r" in chunk or len(chunk) > self._bytes_max:
            return None
        events = []
        for block in chunk[:-2].split(b"\n\n"):
            if not block.startswith(b"data: ") or b"\n" in block:
                return None
            events.append(SseEvent("", block[6:]))
        return events

    def _hold(self, more_bytes: int) -> None:
        self._held_bytes += more_bytes
        if self._held_bytes > self._bytes_max:
            raise EventTooLarge(f"an event of over {self._bytes_max} bytes")

    def _line(self, line: bytes, events: list[SseEvent]) -> None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                name = self._name.decode("utf-8", "replace")
                events.append(SseEvent(name, b"\n".join(self._data)))
            self._name, self._held_bytes = b"", 0
            self._data = []
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value
        elif not self._data:
            self._held_bytes = 0
