"""Sinks that can hold back what they are told, and one that remembers it, within bounds."""

from collections.abc import Callable, Sequence
from functools import partial

from tokenbooth.content.replays.service import Lack, StoredAnswer
from tokenbooth.core.ports import Sink, SinkListener


class AnswerSpace:
    """What the remembered answers of all running calls may take together."""

    def __init__(self, bytes_max: int) -> None:
        self._free_bytes = bytes_max

    @property
    def free_bytes(self) -> int:
        return self._free_bytes

    def take(self, size_bytes: int) -> bool:
        """False when there is no room for so much more."""
        if size_bytes > self._free_bytes:
            return False
        self._free_bytes -= size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        self._free_bytes += size_bytes


class Weir:
    """Passes everything on at once, until ``hold_back``; then all waits for ``let_go``."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._status: int | None = None
        self._headers: tuple[tuple[str, str], ...] = ()
        self._held_back: list[Callable[[], None]] | None = None

    @property
    def started(self) -> bool:
        return self._status is not None

    def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        self._status, self._headers = status, tuple(headers)
        self._pass_on(partial(self._sink.start, status, headers))

    def write(self, chunk: bytes) -> None:
        self._pass_on(partial(self._sink.write, chunk))

    def end(self) -> None:
        self._pass_on(self._sink.end)

    def listen(self, listener: SinkListener) -> None:
        self._sink.listen(listener)

    def hold_back(self) -> None:
        """From here on nothing reaches the caller."""
        self._held_back = []

    def let_go(self) -> None:
        """Pass on what was held back, in its order."""
        waiting, self._held_back = self._held_back or [], None
        for passed in waiting:
            passed()

    def _pass_on(self, passed: Callable[[], None]) -> None:
        if self._held_back is None:
            passed()
        else:
            self._held_back.append(passed)


class LastWords(Weir):
    """Keeps the last words of an answer apart while they are held back, so that they may be read,
    and changed, before they leave."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self.words = b""

    @property
    def well(self) -> bool:
        """Whether the answer is one, and no refusal."""
        return self._status == 200

    def write(self, chunk: bytes) -> None:
        if self._held_back is None:
            super().write(chunk)
        else:
            self.words += chunk

    def end(self) -> None:
        if self._held_back is not None:
            self._held_back.append(self._leave)
        super().end()

    def _leave(self) -> None:
        words, self.words = self.words, b""
        if words:
            self._sink.write(words)


class Tee(Weir):
    """Remembers what it passes on."""

    def __init__(self, sink: Sink, space: AnswerSpace, bytes_max: int) -> None:
        super().__init__(sink)
        self._space = space
        self._bytes_max = bytes_max
        self._chunks: list[bytes] = []
        self._size_bytes = 0
        self._lack: Lack | None = None

    def write(self, chunk: bytes) -> None:
        self._remember(chunk)
        super().write(chunk)

    def answer(self) -> StoredAnswer | Lack:
        """What was said so far, or why it is not known any more."""
        if self._lack is not None or self._status is None:
            return self._lack or Lack.NOT_WHOLE
        return StoredAnswer(self._status, self._headers, tuple(self._chunks))

    def close(self) -> None:
        """Remember nothing any more."""
        self._forget(Lack.NOT_STORED)

    def _remember(self, chunk: bytes) -> None:
        if self._lack is not None or not chunk:
            return
        if self._size_bytes + len(chunk) > self._bytes_max:
            self._forget(Lack.TOO_LARGE)
        elif not self._space.take(len(chunk)):
            self._forget(Lack.NOT_STORED)
        else:
            self._size_bytes += len(chunk)
            self._chunks.append(chunk)

    def _forget(self, lack: Lack) -> None:
        self._space.give_back(self._size_bytes)
        self._size_bytes = 0
        self._chunks.clear()
        self._lack = self._lack or lack
