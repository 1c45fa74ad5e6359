"""Turns the output ids of one choice into text that is safe to send on.

Two things are held back: bytes that do not yet make a whole character, and text that may be the
beginning of a stop string. A token counts as out once all of its text is out, so that the tokens of
the delivered pieces are exactly what a cut-off call received.
"""

import codecs
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tokenbooth.engines.child.frames import Logprob

BytesOf = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Out:
    """What may be sent now; ``stopped`` says that a stop string ended the choice."""

    text: str
    output_tokens: int
    logprobs: tuple[Logprob, ...]
    stopped: bool = False


class ChoiceText:
    """``bytes_of`` gives the bytes of an id, ``b""`` for the end of a turn and the like."""

    def __init__(self, bytes_of: BytesOf, stop: tuple[str, ...]) -> None:
        self._bytes_of = bytes_of
        self._stop = stop
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._decoded_characters = 0
        self._waiting: deque[tuple[int, Logprob | None]] = deque()
        self.output_tokens = 0

    def take(self, id_: int, logprob: float | None = None) -> Out:
        """Add one token; ``logprob`` is given where it was asked for."""
        raw = self._bytes_of(id_)
        piece = self._decoder.decode(raw)
        self.output_tokens += 1
        self._decoded_characters += len(piece)
        unfinished = bool(self._decoder.getstate()[0])
        spoken = None
        if logprob is not None:
            spoken = Logprob(raw.decode("utf-8", "replace"), logprob)
        self._waiting.append((self._decoded_characters + unfinished, spoken))
        self._held += piece
        at = stop_at(self._held, self._stop)
        if at is not None:
            return self._stopped(at)
        return self._let_out(len(self._held) - held_back(self._held, self._stop))

    def finish(self) -> Out:
        """The choice is over: everything that was held back goes out."""
        tail = self._decoder.decode(b"", final=True)
        self._held += tail
        self._decoded_characters += len(tail)
        out = self._let_out(len(self._held))
        rest = self._drop_waiting()
        return Out(out.text, out.output_tokens + rest, out.logprobs)

    def _stopped(self, at: int) -> Out:
        out = self._let_out(at)
        self._held = ""
        rest = self._drop_waiting()
        return Out(out.text, out.output_tokens + rest, out.logprobs, stopped=True)

    def _drop_waiting(self) -> int:
        rest = len(self._waiting)
        self._waiting.clear()
        return rest

    def _let_out(self, count: int) -> Out:
        text, self._held = self._held[:count], self._held[count:]
        out_characters = self._decoded_characters - len(self._held)
        tokens = 0
        logprobs = []
        while self._waiting and self._waiting[0][0] <= out_characters:
            tokens += 1
            spoken = self._waiting.popleft()[1]
            if spoken is not None:
                logprobs.append(spoken)
        return Out(text, tokens, tuple(logprobs))


def stop_at(text: str, stop: tuple[str, ...]) -> int | None:
    """Where the first of the stop strings begins in ``text``."""
    places = [place for word in stop if (place := text.find(word)) >= 0]
    return min(places) if places else None


def held_back(text: str, stop: tuple[str, ...]) -> int:
    """How many characters at the end of ``text`` may be the beginning of a stop string."""
    longest = 0
    for word in stop:
        for length in range(min(len(word) - 1, len(text)), longest, -1):
            if text.endswith(word[:length]):
                longest = length
                break
    return longest
