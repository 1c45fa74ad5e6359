"""Stream chunks of an OpenAI-compatible server -> Deltas and validated Usage, as a pure fold."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, TokenLogprob, ToolCallDelta, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.engines.upstream.values import UNREADABLE

TOOL_CALLS_MAX = 128
TOKENS_MAX = 10**12
DONE = b"[DONE]"
_FAILED_FINISHES = ("abort", "error")
_FINISHES = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}


class _Alternative(Struct):
    text: str = msgspec.field(name="token")
    logprob: float


class _Logprob(Struct):
    text: str = msgspec.field(name="token")
    logprob: float
    top_logprobs: list[_Alternative] | None = None


class _Logprobs(Struct):
    """Those of a chat stand in ``content``, those of a text completion side by side."""

    content: list[_Logprob] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class _Function(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Piece(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Said(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Piece] | None = None


class _Choice(Struct):
    index: int = 0
    delta: _Said | None = None
    text: str | None = None
    finish_reason: str | None = None
    # vLLM names the stop string here, or the id of the token that it stopped at.
    stop_reason: Any = None
    logprobs: _Logprobs | None = None


_NULL = msgspec.Raw(b"null")


class _Chunk(Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL
    system_fingerprint: str | None = None


_Count = Annotated[int, Meta(ge=0, le=TOKENS_MAX)]


class _InputDetails(Struct):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None
    # vLLM's name for the same.
    created_cache_tokens: _Count | None = None


class _OutputDetails(Struct):
    reasoning_tokens: _Count | None = None


class _UsageBody(Struct):
    prompt_tokens: _Count
    completion_tokens: _Count = 0
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


_CHUNKS = msgspec.json.Decoder(_Chunk)
_USAGES = msgspec.json.Decoder(_UsageBody)


class StreamError(Exception):
    """The upstream put an error object into its stream."""

    def __init__(self, error: object) -> None:
        super().__init__("error in stream")
        self.error = error


def usage_from(raw: bytes) -> Usage | None:
    """A usage object, or ``None`` unless it can be true: every count a whole number in
    0..TOKENS_MAX, parts not above their wholes."""
    try:
        body = _USAGES.decode(raw)
    except UNREADABLE:
        return None
    details = body.prompt_tokens_details or _InputDetails()
    cached = details.cached_tokens
    written = details.cache_write_tokens or details.created_cache_tokens or 0
    reasoning = (body.completion_tokens_details or _OutputDetails()).reasoning_tokens or 0
    if (cached or 0) + written > body.prompt_tokens or reasoning > body.completion_tokens:
        return None
    return Usage(
        input_tokens=body.prompt_tokens,
        output_tokens=body.completion_tokens,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
    )


class AnswerFold:
    """Folds the data of one stream's events.

    A delta's ``output_tokens`` is the length of its logprobs where they are sent, else 1 for a
    chunk that says anything and 0 for one that does not. Servers may put several tokens in a
    chunk, so this is a floor, and is used only when a call is cut before its usage arrives.
    """

    def __init__(self, choices: int) -> None:
        self._choices = choices
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._calls: set[tuple[int, int]] = set()
        self._usage: Usage | None = None
        self._fingerprint: str | None = None
        self.done = False

    @property
    def usage(self) -> Usage | None:
        """The last valid usage object so far."""
        return self._usage

    def feed(self, raw: bytes) -> list[Delta]:
        """Raises Problem ENGINE_FAILED for what is no chunk, StreamError for an error object."""
        if raw == DONE or raw.strip() == DONE:
            self.done = True
            return []
        try:
            chunk = _CHUNKS.decode(raw)
        except UNREADABLE as error:
            raise broken("a chunk that cannot be read") from error
        if chunk.error is not _NULL and bytes(chunk.error) != b"null":
            raise StreamError(_error_in(chunk.error))
        if chunk.usage is not _NULL and bytes(chunk.usage) != b"null":
            self._usage = usage_from(bytes(chunk.usage)) or self._usage
        self._fingerprint = chunk.system_fingerprint or self._fingerprint
        deltas: list[Delta] = []
        for choice in chunk.choices or ():
            deltas += self._of(choice)
        return deltas

    def end(self) -> tuple[list[Delta], RunEnd]:
        """Close the fold at the end of the stream.

        Choices that the upstream left without a reason although it said it is done get STOP.
        Raises Problem ENGINE_FAILED when the stream was cut.
        """
        missing = [choice for choice in range(self._choices) if choice not in self._finished]
        if missing and not (self.done and self._seen):
            raise broken("a stream without an end")
        last = [Delta(choice=choice, finish=FinishReason.STOP) for choice in missing]
        return last, RunEnd(self._usage, fingerprint=self._fingerprint)

    def _of(self, choice: _Choice) -> list[Delta]:
        if not 0 <= choice.index < self._choices:
            raise broken("a choice that was not asked for")
        if choice.finish_reason in _FAILED_FINISHES:
            raise broken("an answer that it aborted")
        if choice.index in self._finished:
            return []
        self._seen.add(choice.index)
        steps = self._steps(choice)
        if choice.finish_reason is not None:
            self._finished.add(choice.index)
            finish = _FINISHES.get(choice.finish_reason, FinishReason.STOP)
            met = choice.stop_reason if finish is FinishReason.STOP else None
            stopped_by = met if isinstance(met, str) else None
            if steps:
                steps[-1] = replace(steps[-1], finish=finish, stopped_by=stopped_by)
            else:
                steps.append(Delta(choice.index, finish=finish, stopped_by=stopped_by))
        return steps

    def _steps(self, choice: _Choice) -> list[Delta]:
        said = choice.delta or _Said(content=choice.text)
        logprobs = () if choice.logprobs is None else _logprobs(choice.logprobs)
        reasoning = said.reasoning_content or said.reasoning or ""
        text, refused = said.content or "", said.refusal or ""
        output_tokens = len(logprobs)
        steps = []
        if text or reasoning or refused or logprobs:
            output_tokens = output_tokens or 1
            said_now = Delta(choice.index, text, reasoning, refused, None, logprobs, output_tokens)
            steps.append(said_now)
        for place, piece in enumerate(said.tool_calls or ()):
            call = self._call(choice.index, place, piece)
            counted = 0 if output_tokens else 1
            steps.append(Delta(choice=choice.index, tool_call=call, output_tokens=counted))
            output_tokens = output_tokens or 1
        return steps

    def _call(self, choice: int, place: int, piece: _Piece) -> ToolCallDelta:
        index = place if piece.index is None else piece.index
        if not 0 <= index < TOOL_CALLS_MAX:
            raise broken("too many tool calls")
        function = piece.function or _Function()
        arguments = function.arguments or ""
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        if (choice, index) in self._calls:
            return ToolCallDelta(index=index, arguments=arguments)
        if not function.name:
            raise broken("a tool call without a name")
        self._calls.add((choice, index))
        name_id = piece.id or f"call_{choice}_{index}"
        return ToolCallDelta(index=index, arguments=arguments, id=name_id, name=function.name)


def _error_in(raw: msgspec.Raw) -> object:
    """The error object; an error that cannot be read is still one."""
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None


def _logprobs(body: _Logprobs) -> tuple[TokenLogprob, ...]:
    if body.tokens is not None:
        return tuple(_side_by_side(body, body.tokens))
    return tuple(
        TokenLogprob(
            entry.text,
            entry.logprob,
            tuple((other.text, other.logprob) for other in entry.top_logprobs or ()),
        )
        for entry in body.content or ()
    )


def _side_by_side(body: _Logprobs, texts: list[str]) -> Iterator[TokenLogprob]:
    values, others = body.token_logprobs or [], body.top_logprobs or []
    for text, value, tops in zip_longest(texts, values[: len(texts)], others[: len(texts)]):
        ranked = sorted((tops or {}).items(), key=lambda pair: -pair[1])
        yield TokenLogprob(text, 0.0 if value is None else value, tuple(ranked))


def broken(what: str) -> Problem:
    """An answer that breaks the protocol."""
    return Problem(Code.ENGINE_FAILED, f"The model's server sent {what}.")
