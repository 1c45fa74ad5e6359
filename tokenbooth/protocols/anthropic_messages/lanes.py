"""The blocks of one answer in the order in which they may be written: one open at a time.

Guards the wire against an engine that breaks its word or mixes what it says. Blocks follow one
another on the wire, while deltas of several tool calls may come in turns: what is said meanwhile
waits in its own lane until the open call is whole, which is when its arguments are one JSON
document. A missing call id is made up from the request id, a name or id sent twice is kept once,
and what follows a whole call's arguments is not heard.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import msgspec

from tokenbooth.core.delta import Delta, ToolCallDelta

TOOL_CALLS_MAX = 128
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)

# What JSON allows around a value; Python strips more.
_SPACE = " \t\n\r"


class BlockKind(StrEnum):
    TEXT = "text"
    THINKING = "thinking"
    TOOL_USE = "tool_use"


@dataclass(frozen=True, slots=True)
class Begun:
    """``id`` and ``name`` belong to a tool call."""

    kind: BlockKind
    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    kind: BlockKind
    piece: str


@dataclass(frozen=True, slots=True)
class Stopped:
    kind: BlockKind


Step: TypeAlias = Begun | Said | Stopped


class Lane:
    """One block: what it was told, and what of that is not written yet."""

    __slots__ = ("_checked", "_waiting", "begun", "id", "kind", "name", "told")

    def __init__(self, kind: BlockKind, call_id: str = "", name: str = "") -> None:
        self.kind = kind
        self.id = call_id
        self.name = name
        self.begun = False
        self.told: list[str] = []
        self._waiting: list[str] = []
        self._checked = 0

    def add(self, piece: str) -> None:
        if piece:
            self._waiting.append(piece)
            if self.kind is BlockKind.TOOL_USE:
                self.told.append(piece)

    def steps(self, *, last: bool = False) -> Iterator[Step]:
        """What can be written now; a call without a name waits for one until the end."""
        if not self.begun:
            if self.kind is BlockKind.TOOL_USE and not (self.name or last):
                return
            self.begun = True
            yield Begun(self.kind, self.id, self.name)
        if self._waiting:
            yield Said(self.kind, "".join(self._waiting))
            self._waiting.clear()

    @property
    def whole(self) -> bool:
        """Whether nothing can follow. A call is looked at again only when it was told more that
        may have ended it."""
        if self.kind is not BlockKind.TOOL_USE:
            return True
        if len(self.told) == self._checked or not self.told[-1].rstrip(_SPACE).endswith("}"):
            return False
        self._checked = len(self.told)
        return arguments_object("".join(self.told)) is not None


class Lanes:
    """The first lane is open on the wire; the others wait behind it."""

    def __init__(self, request_id: str, *, reasoning_shown: bool) -> None:
        self._request_id = request_id
        self._reasoning_shown = reasoning_shown
        self._queue: deque[Lane] = deque()
        self._calls: dict[int, Lane] = {}
        self._any = False

    @property
    def has_calls(self) -> bool:
        return bool(self._calls)

    def goes_on(self, delta: Delta) -> tuple[BlockKind, str] | None:
        """What this delta adds to the only open block, if it does nothing else: the common step,
        which needs no other."""
        if len(self._queue) != 1 or delta.refusal:
            return None
        lane, text, reasoning = self._queue[0], delta.text, delta.reasoning
        if delta.tool_call is not None:
            return None if text or reasoning else self._call_goes_on(lane, delta.tool_call)
        if lane.kind is BlockKind.TEXT and text and not reasoning:
            return lane.kind, text
        if lane.kind is BlockKind.THINKING and reasoning and not text:
            return lane.kind, reasoning
        return None

    def _call_goes_on(self, lane: Lane, piece: ToolCallDelta) -> tuple[BlockKind, str] | None:
        if self._calls.get(piece.index) is not lane or not (lane.begun and piece.arguments):
            return None
        lane.told.append(piece.arguments)
        return lane.kind, piece.arguments

    def add(self, delta: Delta) -> Iterator[Step]:
        """The steps that this delta causes now."""
        if delta.reasoning and self._reasoning_shown:
            self._run_on(BlockKind.THINKING).add(delta.reasoning)
        if delta.text or delta.refusal:
            self._run_on(BlockKind.TEXT).add(delta.text + delta.refusal)
        if delta.tool_call is not None:
            self._call(delta.tool_call)
        yield from self._written()

    def end(self) -> Iterator[Step]:
        """The rest. An answer without any block gets an empty text, which readers expect."""
        if not self._any:
            self._run_on(BlockKind.TEXT)
        while self._queue:
            lane = self._queue.popleft()
            yield from lane.steps(last=True)
            yield Stopped(lane.kind)

    def _run_on(self, kind: BlockKind) -> Lane:
        """The last lane if it is of this kind, else a new one."""
        if self._queue and self._queue[-1].kind is kind:
            return self._queue[-1]
        return self._new(Lane(kind))

    def _call(self, piece: ToolCallDelta) -> None:
        lane = self._calls.get(piece.index)
        if lane is None:
            place = len(self._calls)
            if place == TOOL_CALLS_MAX:
                return
            call_id = piece.id or f"toolu_{self._request_id}_{place}"
            lane = Lane(BlockKind.TOOL_USE, call_id, piece.name or "")
            self._calls[piece.index] = self._new(lane)
        elif not lane.begun:
            lane.name = lane.name or piece.name or ""
        lane.add(piece.arguments)

    def _new(self, lane: Lane) -> Lane:
        self._any = True
        self._queue.append(lane)
        return lane

    def _written(self) -> Iterator[Step]:
        while self._queue:
            lane = self._queue[0]
            yield from lane.steps()
            if len(self._queue) == 1 or not lane.begun or not lane.whole:
                return
            yield Stopped(lane.kind)
            self._queue.popleft()


def arguments_object(text: str) -> bytes | None:
    """The JSON of a call's arguments as it was written, if it is one object; ``{}`` for none."""
    if not text.strip(_SPACE):
        return b"{}"
    try:
        raw = _paired(text.strip(_SPACE))
        return raw if isinstance(msgspec.json.decode(raw), dict) else None
    except _UNREADABLE:
        return None


def _paired(text: str) -> bytes:
    """UTF-8, with halves of surrogate pairs joined that came in two pieces; raises UnicodeError
    for a half alone."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le").encode()
