"""The script: what is answered to a turn, decided from the turn and the options alone."""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tokenbooth.core.delta import Delta, FinishReason, TokenLogprob, ToolCallDelta, Usage
from tokenbooth.core.turn import FormatKind, Role, Tool, ToolMode, Turn
from tokenbooth.engines.scripted.counting import tokens_of
from tokenbooth.engines.scripted.instances import minimal_instance
from tokenbooth.engines.scripted.solving import solved
from tokenbooth.engines.scripted.values import AnswerKind, ScriptOptions, UsageFault

_LINES = (
    "amber anchor autumn basin birch bright calm canyon cedar clear cliff cloud copper coral crisp "
    "dawn delta drift dune early east ember field flint forest frost gentle glade golden grain "
    "harbor hazel hill honey island ivory jade juniper keen lake lantern light linen maple meadow "
    "mist moss north ocean olive opal orchard pebble pine quiet rain reed river sage silver spring "
    "stone summer tide valley willow wind winter"
)
WORDS = _LINES.split()
EFFORT_FACTORS = {
    "none": (0, 1), "minimal": (1, 4), "low": (1, 2), "high": (2, 1), "xhigh": (4, 1),
    "max": (8, 1),
}  # fmt: skip
TOO_LARGE = 10**12
_COMMANDS = re.compile(r"\[script ([^\]]*)\]")
LN2 = math.log(2)


@dataclass(frozen=True, slots=True)
class CallPlan:
    """A tool call; its name counts as one token, its arguments as their own."""

    id: str
    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChoicePlan:
    """Everything one choice says. A token of ``answer`` that a stop string cut may be empty;
    ``stopped_by`` is that stop string."""

    choice: int
    reasoning: tuple[str, ...]
    answer: tuple[str, ...]
    calls: tuple[CallPlan, ...]
    finish: FinishReason
    stopped_by: str | None = None

    @property
    def output_tokens(self) -> int:
        return (
            len(self.reasoning)
            + len(self.answer)
            + sum(1 + len(call.arguments) for call in self.calls)
        )


def plan(turn: Turn, options: ScriptOptions, input_tokens: int) -> tuple[ChoicePlan, ...]:
    """One plan per choice; each fits the turn's output limit and the context window.

    Raises Problem as ``minimal_instance`` does.
    """
    room = options.context_tokens - input_tokens
    limit = room if turn.output_tokens_max is None else min(room, turn.output_tokens_max)
    return tuple(_choice(turn, options, choice, limit) for choice in range(turn.choices))


def _choice(turn: Turn, options: ScriptOptions, choice: int, limit: int) -> ChoicePlan:
    seed = _seed(turn, options, choice)
    times, parts = EFFORT_FACTORS.get(turn.reasoning_effort or "", (1, 1))
    thought_tokens = 0 if turn.raw else options.reasoning_tokens * times // parts
    thoughts = tuple(_words(seed + b"r", thought_tokens))
    reasoning = thoughts[:limit]
    room = limit - len(reasoning)
    cut = len(thoughts) > len(reasoning)
    calls: tuple[CallPlan, ...] = ()
    answer: tuple[str, ...] = ()
    stopped_by: str | None = None
    if tools := wanted_tools(turn, options.call):
        planned = [_call(tool, options, seed, place) for place, tool in enumerate(tools)]
        calls, cut_calls = _fit_calls(planned, room)
        cut, finish = cut or cut_calls, FinishReason.TOOL_CALLS
    else:
        whole = _answer(turn, options, seed)
        answer, stopped_by = _stop(whole[:room], turn.sampling.stop)
        cut, finish = cut or (stopped_by is None and len(whole) > room), FinishReason.STOP
    finish = FinishReason.LENGTH if cut else options.finish or finish
    return ChoicePlan(choice, reasoning, answer, calls, finish, stopped_by)


def commands_in(turn: Turn) -> dict[str, str]:
    """The ``name=value`` pairs of ``[script …]`` in the last message of the user."""
    found = _COMMANDS.search(_last_text(turn))
    pairs = found.group(1).split() if found else []
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def _seed(turn: Turn, options: ScriptOptions, choice: int) -> bytes:
    digest = hashlib.sha256(f"{options.seed} {turn.sampling.seed} {choice}".encode())
    for message in turn.messages:
        digest.update(f"\0{message.role}\0{message.text}".encode("utf-8", "surrogatepass"))
    return digest.digest()


def _words(seed: bytes, count: int) -> Iterator[str]:
    """``count`` words, each after the first with its leading blank."""
    block = b""
    for place in range(count):
        if place % 32 == 0:
            block = hashlib.sha256(seed + place.to_bytes(8, "big")).digest()
        word = WORDS[block[place % 32] % len(WORDS)]
        yield f" {word}" if place else word


def _answer(turn: Turn, options: ScriptOptions, seed: bytes) -> list[str]:
    match turn.output_format.kind:
        case FormatKind.JSON_SCHEMA:
            return tokens_of(_compact(minimal_instance(turn.output_format.schema_json or "")))
        case FormatKind.JSON_OBJECT:
            return tokens_of(_compact({"answer": "".join(_words(seed, 4))}))
    match options.answer:
        case AnswerKind.ECHO:
            return tokens_of(_last_text(turn))
        case AnswerKind.TEXT:
            return tokens_of(options.text)
        case AnswerKind.SOLVE if (found := solved(_last_text(turn))) is not None:
            return tokens_of(found)
    return list(_words(seed, options.chunks * options.tokens_per_chunk))


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _last_text(turn: Turn) -> str:
    return next((m.text for m in reversed(turn.messages) if m.role is Role.USER), "")


def _stop(tokens: list[str], stops: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """Cut before the earliest stop string, which is told too; the tokens that made it up still
    count, as empty."""
    text = "".join(tokens)
    found = [(at, at + len(stop)) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not found:
        return tuple(tokens), None
    start, end = min(found)
    kept: list[str] = []
    place = 0
    for word in tokens:
        if place >= end:
            break
        kept.append(word[: max(0, start - place)])
        place += len(word)
    return tuple(kept), text[start:end]


def wanted_tools(turn: Turn, told: str = "") -> tuple[Tool, ...]:
    """The tools that the answer calls: the forced one, else the one ``told`` as long as the turn
    holds no result of a tool, else those that the last question names."""
    match turn.tool_choice.mode:
        case ToolMode.NONE:
            return ()
        case ToolMode.NAMED:
            return tuple(tool for tool in turn.tools if tool.name == turn.tool_choice.name)
    named = _told(turn, told) if told else _named(turn)
    if turn.tool_choice.mode is ToolMode.REQUIRED:
        named = named or turn.tools[:1]
    return named[:1] if turn.parallel_tool_calls is False else named


def _told(turn: Turn, told: str) -> tuple[Tool, ...]:
    answered = any(message.role is Role.TOOL for message in turn.messages)
    return () if answered else tuple(tool for tool in turn.tools if tool.name == told)


def _named(turn: Turn) -> tuple[Tool, ...]:
    """Some clients put a word of their own, with the role of the system, behind the question."""
    asked = [m for m in turn.messages if m.role not in (Role.SYSTEM, Role.DEVELOPER)]
    if not asked or asked[-1].role is not Role.USER:
        return ()
    return tuple(tool for tool in turn.tools if tool.name in asked[-1].text)


def _call(tool: Tool, options: ScriptOptions, seed: bytes, index: int) -> CallPlan:
    if tool.name == options.call:
        arguments = options.call_arguments
    else:
        value = minimal_instance(tool.schema_json, loosely=True)
        arguments = _compact(value if isinstance(value, dict) else {})
    digest = hashlib.sha256(seed + b"call" + bytes([index % 256])).hexdigest()
    return CallPlan(f"call_{digest[:24]}", tool.name, tuple(tokens_of(arguments)))


def _fit_calls(calls: list[CallPlan], room: int) -> tuple[tuple[CallPlan, ...], bool]:
    kept: list[CallPlan] = []
    for call in calls:
        if room <= 0:
            return tuple(kept), True
        arguments = call.arguments[: room - 1]
        kept.append(CallPlan(call.id, call.name, arguments))
        room -= 1 + len(arguments)
        if len(arguments) < len(call.arguments):
            return tuple(kept), True
    return tuple(kept), False


def steps(plans: tuple[ChoicePlan, ...], turn: Turn, options: ScriptOptions) -> Iterator[Delta]:
    """All deltas in order, the choices taking turns."""
    streams = [_deltas(p, turn, options.tokens_per_chunk) for p in plans]
    while streams:
        going = []
        for stream in streams:
            delta = next(stream)
            yield delta
            if delta.finish is None:
                going.append(stream)
        streams = going


def _deltas(plan: ChoicePlan, turn: Turn, size: int) -> Iterator[Delta]:
    """The deltas of one choice; the last one, and only it, carries the finish reason."""
    held: Delta | None = None
    for delta in _open_deltas(plan, turn, size):
        if held is not None:
            yield held
        held = delta
    last = held or Delta(choice=plan.choice)
    yield Delta(
        choice=last.choice,
        text=last.text,
        reasoning=last.reasoning,
        tool_call=last.tool_call,
        logprobs=last.logprobs,
        output_tokens=last.output_tokens,
        finish=plan.finish,
        stopped_by=plan.stopped_by,
    )


def _open_deltas(plan: ChoicePlan, turn: Turn, size: int) -> Iterator[Delta]:
    choice = plan.choice
    for some in _groups(plan.reasoning, size):
        yield Delta(choice=choice, reasoning="".join(some), output_tokens=len(some))
    for some in _groups(plan.answer, size):
        logprobs: tuple[TokenLogprob, ...] = ()
        if turn.logprobs is not None:
            logprobs = tuple(_logprob(word, turn.logprobs.top) for word in some if word)
        yield Delta(choice=choice, text="".join(some), logprobs=logprobs, output_tokens=len(some))
    for index, call in enumerate(plan.calls):
        opening = ToolCallDelta(index=index, id=call.id, name=call.name)
        yield Delta(choice=choice, tool_call=opening, output_tokens=1)
        for some in _groups(call.arguments, size):
            piece = ToolCallDelta(index=index, arguments="".join(some))
            yield Delta(choice=choice, tool_call=piece, output_tokens=len(some))


def _groups(tokens: tuple[str, ...], size: int) -> Iterator[tuple[str, ...]]:
    return (tokens[at : at + size] for at in range(0, len(tokens), size))


def _logprob(word: str, top: int) -> TokenLogprob:
    """The script's own distribution: the word it says has 1/2, the i-th runner-up 1/2**(i+1)."""
    start = sum(word.encode("utf-8", "surrogatepass"))
    others = [f" {WORDS[(start + i) % len(WORDS)]}" for i in range(top + 1)]
    ranked = [word, *(other for other in others if other != word)][:top]
    return TokenLogprob(
        word, -LN2, tuple((text, -LN2 * (rank + 1)) for rank, text in enumerate(ranked))
    )


def usage_of(input_tokens: int, output: tuple[int, int], options: ScriptOptions) -> Usage | None:
    """The usage to report for ``output`` = (output tokens, reasoning tokens among them)."""
    output_tokens, reasoning_tokens = output
    cached = options.cached_tokens
    match options.usage:
        case UsageFault.MISSING:
            return None
        case UsageFault.NEGATIVE:
            return Usage(input_tokens=-1, output_tokens=-1)
        case UsageFault.TOO_LARGE:
            return Usage(input_tokens=input_tokens + TOO_LARGE, output_tokens=TOO_LARGE)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=None if cached is None else min(cached, input_tokens),
        reasoning_tokens=reasoning_tokens,
    )


def embedding(text: str, dimensions: int) -> tuple[float, ...]:
    """A unit vector that depends on ``text`` alone."""
    raw: list[int] = []
    source = text.encode("utf-8", "surrogatepass")
    while len(raw) < dimensions:
        block = hashlib.sha256(len(raw).to_bytes(4, "big") + source).digest()
        raw += [2 * byte - 255 for byte in block]
    length = math.sqrt(sum(value * value for value in raw[:dimensions]))
    return tuple(value / length for value in raw[:dimensions])
