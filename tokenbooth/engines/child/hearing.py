"""What a model writes becomes deltas: thoughts, text and calls of tools, told apart as they come.

A fold over pieces of text; what may be the beginning of a marker is held back, and the tokens of a
piece wait with it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from tokenbooth.core.delta import Delta, FinishReason, TokenLogprob, ToolCallDelta
from tokenbooth.engines.child.head import Head, head_of
from tokenbooth.engines.grammar.answer import (
    CALL_CLOSE,
    CALL_OPEN,
    THINK_CLOSE,
    THINK_OPEN,
    Thinking,
)


@dataclass(frozen=True, slots=True)
class Ears:
    """What to listen for in the answers of one turn; ``new_id`` makes the id of a call."""

    thinking: Thinking
    calls: bool
    new_id: Callable[[], str]


DEAF = Ears(Thinking.NONE, calls=False, new_id=str)


class _At(Enum):
    """Where in the answer the fold stands."""

    START = auto()
    THOUGHT = auto()
    AFTER_THOUGHT = auto()
    TEXT = auto()
    HEAD = auto()
    ARGUMENTS = auto()
    CLOSE = auto()


# Where a token's probability belongs to the text of the answer.
_SPOKEN = (_At.START, _At.AFTER_THOUGHT, _At.TEXT)


class Hearing:
    """One choice. ``reasoning_tokens`` are those of the thoughts so far, markers included."""

    def __init__(self, choice: int, ears: Ears) -> None:
        self._choice = choice
        self._ears = ears
        first = {Thinking.NONE: _At.TEXT, Thinking.MAY: _At.START, Thinking.OPENED: _At.THOUGHT}
        self._at = first[ears.thinking]
        self._held = ""
        self._calls = 0
        self._thoughtful = False
        self._value = _Value()
        self._tokens = 0
        self._logprobs: tuple[TokenLogprob, ...] = ()
        self.reasoning_tokens = 0

    def take(
        self,
        text: str,
        output_tokens: int,
        logprobs: tuple[TokenLogprob, ...] = (),
        finish: FinishReason | None = None,
    ) -> list[Delta]:
        """The deltas that a piece causes; the last one carries its tokens and its finish."""
        thought = self._at is _At.THOUGHT
        self._held += text
        said = _Said(self._choice)
        while self._step(said, last=finish is not None):
            pass
        if thought or self._at is _At.THOUGHT:
            self.reasoning_tokens += output_tokens
        self._tokens += output_tokens
        if self._at in _SPOKEN:
            self._logprobs += logprobs
        if finish is not None:
            said.delta = replace(said.delta, finish=self._finish(finish))
        if not said.any and (self._held or not self._tokens):
            return []
        tokens, self._tokens = self._tokens, 0
        spoken, self._logprobs = self._logprobs, ()
        return said.let_out(tokens, spoken)

    def _finish(self, finish: FinishReason) -> FinishReason:
        if finish is not FinishReason.STOP:
            return finish
        if self._at in (_At.HEAD, _At.ARGUMENTS):
            # A stop string of the caller cut a call in two.
            return FinishReason.LENGTH
        return FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP

    def _step(self, said: "_Said", *, last: bool) -> bool:
        """One step through what is held; False when more must be heard first."""
        match self._at:
            case _At.START:
                return self._start(last=last)
            case _At.THOUGHT:
                return self._thought(said, last=last)
            case _At.AFTER_THOUGHT:
                self._held = self._held.lstrip()
                if self._held:
                    self._at = _At.TEXT
                return bool(self._held)
            case _At.TEXT:
                return self._text(said, last=last)
            case _At.HEAD:
                return self._head(said, last=last)
            case _At.ARGUMENTS:
                return self._arguments(said)
            case _At.CLOSE:
                return self._close(last=last)

    def _start(self, *, last: bool) -> bool:
        begun = self._held.lstrip()
        if begun.startswith(THINK_OPEN):
            self._held, self._at = begun[len(THINK_OPEN) :], _At.THOUGHT
            return True
        if THINK_OPEN.startswith(begun) and not last:
            return False
        self._at = _At.TEXT
        return True

    def _thought(self, said: "_Said", *, last: bool) -> bool:
        if not self._thoughtful:
            self._held = self._held.lstrip("\n")
            self._thoughtful = bool(self._held)
        before, found, after = self._held.partition(THINK_CLOSE)
        if found:
            said.think(before.rstrip())
            self._held, self._at = after, _At.AFTER_THOUGHT
            return True
        kept = 0 if last else _begun(self._held, THINK_CLOSE)
        said.think(self._held[: len(self._held) - kept])
        self._held = self._held[len(self._held) - kept :]
        return False

    def _text(self, said: "_Said", *, last: bool) -> bool:
        if not self._ears.calls:
            said.say(self._held)
            self._held = ""
            return False
        before, found, after = self._held.partition(CALL_OPEN)
        if found:
            said.say(before.rstrip())
            self._held, self._at = after, _At.HEAD
            return True
        # Behind a call, the beginning of a marker is the next call, cut in two.
        kept = 0 if last and not self._calls else _begun(self._held, CALL_OPEN)
        said.say(self._held[: len(self._held) - kept])
        self._held = "" if last else self._held[len(self._held) - kept :]
        return False

    def _head(self, said: "_Said", *, last: bool) -> bool:
        head = head_of(self._held)
        if head is Head.UNFINISHED and not last:
            return False
        if isinstance(head, Head):
            if last and head is Head.UNFINISHED:
                self._held = ""
                return False
            # Not the form that was asked for: the caller sees it as it is.
            said.say(CALL_OPEN)
            self._at = _At.TEXT
            return True
        name, rest = head
        said.call(ToolCallDelta(self._calls, id=self._ears.new_id(), name=name))
        self._calls += 1
        self._value = _Value()
        self._held, self._at = rest, _At.ARGUMENTS
        return True

    def _arguments(self, said: "_Said") -> bool:
        end = self._value.end_in(self._held)
        piece, self._held = self._held[:end], self._held[end:]
        if piece:
            said.call(ToolCallDelta(self._calls - 1, arguments=piece))
        if self._value.over:
            self._at = _At.CLOSE
        return self._value.over

    def _close(self, *, last: bool) -> bool:
        _, found, after = self._held.partition(CALL_CLOSE)
        if not found:
            if last:
                self._held = ""
            return False
        self._held, self._at = after, _At.AFTER_THOUGHT
        return bool(after)


class _Value:
    """Finds the end of one JSON value that stands before a brace."""

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self.over = False

    def end_in(self, text: str) -> int:
        """How much of ``text`` belongs to the value; ``over`` when it ends in it."""
        for place, sign in enumerate(text):
            if self._escaped:
                self._escaped = False
            elif self._quoted:
                self._escaped = sign == "\\"
                self._quoted = sign != '"'
            elif sign == '"':
                self._quoted = True
            elif sign in "{[":
                self._depth += 1
            elif sign in "}]":
                if self._depth == 0:
                    self.over = True
                    return place
                self._depth -= 1
                if self._depth == 0:
                    self.over = True
                    return place + 1
        return len(text)


class _Said:
    """Gathers what one piece says in as few deltas as its order allows."""

    def __init__(self, choice: int) -> None:
        self._done: list[Delta] = []
        self.delta = Delta(choice=choice)
        self._empty = self.delta

    @property
    def any(self) -> bool:
        return bool(self._done) or self.delta != self._empty

    def think(self, piece: str) -> None:
        if piece:
            if self.delta.text or self.delta.tool_call:
                self._next()
            self.delta = replace(self.delta, reasoning=self.delta.reasoning + piece)

    def say(self, piece: str) -> None:
        if piece:
            if self.delta.tool_call:
                self._next()
            self.delta = replace(self.delta, text=self.delta.text + piece)

    def call(self, piece: ToolCallDelta) -> None:
        open_ = self.delta.tool_call
        if open_ is None:
            self.delta = replace(self.delta, tool_call=piece)
        elif open_.index == piece.index:
            whole = replace(open_, arguments=open_.arguments + piece.arguments)
            self.delta = replace(self.delta, tool_call=whole)
        else:
            self._next()
            self.delta = replace(self._empty, tool_call=piece)

    def _next(self) -> None:
        self._done.append(self.delta)
        self.delta = self._empty

    def let_out(self, tokens: int, logprobs: tuple[TokenLogprob, ...]) -> list[Delta]:
        """Each delta before the last stands for one token, as far as there are any."""
        return [*_counted(self._done, tokens), self._last(tokens, logprobs)]

    def _last(self, tokens: int, logprobs: tuple[TokenLogprob, ...]) -> Delta:
        left = tokens - min(tokens, len(self._done))
        return replace(self.delta, output_tokens=left, logprobs=logprobs)


def _counted(deltas: list[Delta], tokens: int) -> Iterator[Delta]:
    for place, delta in enumerate(deltas):
        yield replace(delta, output_tokens=1 if place < tokens else 0)


def _begun(text: str, marker: str) -> int:
    """How much of the end of ``text`` may be blanks before a marker and its beginning."""
    most = min(len(marker) - 1, len(text))
    begun = next((n for n in range(most, 0, -1) if text.endswith(marker[:n])), 0)
    rest = text[: len(text) - begun]
    return begun + len(rest) - len(rest.rstrip())
