"""What calls of one conversation have in common, so that one engine's cache can serve them.

Pure but for ``PrefixBook``, the memory of one process: digests of blocks, never a text, and of one
project never told to another.
"""

from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b

from tokenbooth.core.caller import Caller
from tokenbooth.core.delta import Usage
from tokenbooth.core.turn import MediaPart, Message, Role, Turn
from tokenbooth.protocols.dialect import Parsed

BLOCK_BYTES = 128
# What stands behind the first 128 KiB of a prompt is not compared.
BLOCKS_MAX = 1024
DIGEST_BYTES = 8
SESSIONS_MAX = 2048
SESSIONS_OF_PROJECT_MAX = 256
OPENING_BYTES_MAX = 64 * 1024
KEY_CHARACTERS_MAX = 256
# Under this hint a client names its conversation; these headers say the same.
CACHE_KEY = "prompt_cache_key"
SESSION_HEADERS = ("x-session-affinity", "x-session-id")


class Why(StrEnum):
    """Why an engine's cache could not serve the whole prompt of the call before."""

    FIRST_CALL = "first_call"
    MODEL_CHANGED = "model_changed"
    TOOLS_CHANGED = "tools_changed"
    REASONING_EFFORT_CHANGED = "reasoning_effort_changed"
    INPUT_CHANGED = "input_changed"
    DEPLOYMENT_CHANGED = "deployment_changed"
    EVICTED = "evicted"
    NOT_TOLD = "not_told"


@dataclass(frozen=True, slots=True)
class Prefix:
    """What is remembered of one prompt: ``blocks`` are the digests of its first ``BLOCKS_MAX``
    blocks, one after another; ``length_bytes`` is of all of it."""

    model: str
    tools: bytes
    effort: str | None
    blocks: bytes
    length_bytes: int


@dataclass(frozen=True, slots=True)
class Match:
    """How much of a prompt begins as the one before it; ``why`` is None where all of that one does.

    ``deployment_id`` is where the call before ran.
    """

    session: tuple[str, str]
    prefix: Prefix
    matched_bytes: int
    why: Why | None
    deployment_id: str | None = None

    def tokens(self, input_tokens: int) -> int:
        """The part of the input that the match is, by its bytes: an estimate, rounded down."""
        return input_tokens * self.matched_bytes // max(1, self.prefix.length_bytes)


@dataclass(frozen=True, slots=True)
class CacheVerdict:
    """What became of the prompt's beginning; ``why`` is None where the cache served it."""

    matched_tokens: int
    cached_tokens: int | None
    why: Why | None


def session_of(caller: Caller, turn: Turn) -> tuple[str, str]:
    """Project and key of the conversation that a call belongs to.

    A stated key wins. Else it is what stays the same in a conversation: the end customer, the
    model, the names of the tools, and the messages up to the first answer. Nobody else's calls can
    have the same session: the project is a part of it.
    """
    stated = turn.hints.get(CACHE_KEY)
    state = blake2b(digest_size=DIGEST_BYTES * 2)
    if stated:
        state.update(b"stated\0" + stated.encode())
    else:
        names = "\0".join(tool.name for tool in turn.tools)
        state.update(f"{turn.end_customer}\0{turn.model}\0{names}".encode())
        for message in turn.messages:
            if message.role in (Role.ASSISTANT, Role.TOOL):
                break
            for piece in _pieces(message):
                state.update(piece[:OPENING_BYTES_MAX])
    return caller.project_id, state.hexdigest()


def with_session(parsed: Parsed, headers: Mapping[str, str]) -> Parsed:
    """With the conversation that a header names, where the body names none."""
    hints = parsed.turn.hints
    named = next((headers[name] for name in SESSION_HEADERS if headers.get(name)), None)
    if named is None or CACHE_KEY in hints:
        return parsed
    turn = replace(parsed.turn, hints={**hints, CACHE_KEY: named[:KEY_CHARACTERS_MAX]})
    return replace(parsed, turn=turn)


def prefix_of(turn: Turn) -> Prefix:
    """Raw prompts of one call count as one text, which begins with the first of them."""
    tools = blake2b(digest_size=DIGEST_BYTES)
    for tool in turn.tools:
        tools.update(f"{tool.name}\0{tool.description}\0{tool.schema_json}\0".encode())
    blocks = bytearray()
    length, rest = 0, b""
    for message in turn.messages:
        for piece in _pieces(message):
            length += len(piece)
            room = (BLOCKS_MAX - len(blocks) // DIGEST_BYTES) * BLOCK_BYTES
            rest = (rest + piece)[:room]
            whole = len(rest) - len(rest) % BLOCK_BYTES
            blocks += _digests(rest[:whole])
            rest = rest[whole:]
    # What does not fill a block would differ as soon as the prompt goes on: it is left out.
    return Prefix(turn.model, tools.digest(), turn.reasoning_effort, bytes(blocks), length)


def rank(session: tuple[str, str], deployment_id: str) -> bytes:
    """Rendezvous: a session has its own order of deployments, and one that goes away moves no
    session but its own."""
    words = "\0".join((*session, deployment_id))
    return blake2b(words.encode(), digest_size=DIGEST_BYTES).digest()


def verdict(match: Match, usage: Usage, deployment_id: str | None) -> CacheVerdict:
    """After the run: what the engine's cache served, held against what it could have served."""
    could = match.tokens(usage.input_tokens)
    cached = usage.cached_input_tokens
    why = match.why
    if why is None and (cached is None or cached < could // 2):
        moved = match.deployment_id != deployment_id
        why = Why.DEPLOYMENT_CHANGED if moved else Why.NOT_TOLD if cached is None else Why.EVICTED
    return CacheVerdict(could, cached, why)


def _compared(before: Prefix, now: Prefix) -> tuple[int, Why | None]:
    """Matched bytes, and why no more of the call before. Tools and effort stand in front of the
    messages in a prompt, so nothing behind a change of them is the same."""
    if before.model != now.model:
        return 0, Why.MODEL_CHANGED
    if before.tools != now.tools:
        return 0, Why.TOOLS_CHANGED
    if before.effort != now.effort:
        return 0, Why.REASONING_EFFORT_CHANGED
    # Digests are of one length, so a block is the same where all of its bytes are.
    same = _same_bytes(before.blocks, now.blocks) // DIGEST_BYTES
    whole = same * DIGEST_BYTES == len(before.blocks)
    return same * BLOCK_BYTES, None if whole else Why.INPUT_CHANGED


def _pieces(message: Message) -> Iterator[bytes]:
    """A message as bytes: those of two messages are the same only where the messages are."""
    head = f"\0{message.role}\0{message.name or ''}\0{message.tool_call_id or ''}\0"
    yield head.encode()
    for part in message.parts:
        yield (part.url if isinstance(part, MediaPart) else part.text).encode("utf-8", "replace")
    for call in message.tool_calls:
        yield f"\0{call.id}\0{call.name}\0{call.arguments}".encode("utf-8", "replace")


def _digests(text: bytes) -> bytes:
    """In memory alone, so the interpreter's own hash will do: it is fast, and keyed anew at each
    start."""
    blocks = (text[start : start + BLOCK_BYTES] for start in range(0, len(text), BLOCK_BYTES))
    return array("q", map(hash, blocks)).tobytes()


def _same_bytes(one: bytes, other: bytes) -> int:
    """How many bytes both begin with, found by halving."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True)
class _Last:
    prefix: Prefix
    deployment_id: str | None


class PrefixBook:
    """The last prompt of each session, and what became of the latest calls; both bounded.

    A project has ``SESSIONS_OF_PROJECT_MAX`` sessions at most, so that it forgets its own first.
    """

    def __init__(self) -> None:
        self._sessions: OrderedDict[tuple[str, str], _Last] = OrderedDict()
        self._of_project: Counter[str] = Counter()
        self._verdicts: OrderedDict[str, CacheVerdict] = OrderedDict()

    def match(self, caller: Caller, turn: Turn) -> Match:
        """The turn's prompt held against the last one of its session; nothing is remembered."""
        session, prefix = session_of(caller, turn), prefix_of(turn)
        last = self._sessions.get(session)
        if last is None:
            return Match(session, prefix, 0, Why.FIRST_CALL)
        matched_bytes, why = _compared(last.prefix, prefix)
        return Match(session, prefix, matched_bytes, why, last.deployment_id)

    def ran(self, request_id: str, match: Match, usage: Usage, deployment_id: str | None) -> None:
        """Remember what an engine has read, and what became of the call."""
        self._verdicts[request_id] = verdict(match, usage, deployment_id)
        if len(self._verdicts) > SESSIONS_MAX:
            self._verdicts.popitem(last=False)
        project = match.session[0]
        if self._sessions.pop(match.session, None) is None:
            self._of_project[project] += 1
        self._sessions[match.session] = _Last(match.prefix, deployment_id)
        if self._of_project[project] > SESSIONS_OF_PROJECT_MAX:
            self._forget(next(each for each in self._sessions if each[0] == project))
        elif len(self._sessions) > SESSIONS_MAX:
            self._forget(next(iter(self._sessions)))

    def verdict(self, request_id: str) -> CacheVerdict | None:
        """Of a call that ran here lately. Whose it is, the asker has to know."""
        return self._verdicts.get(request_id)

    def _forget(self, session: tuple[str, str]) -> None:
        del self._sessions[session]
        self._of_project[session[0]] -= 1
        if not self._of_project[session[0]]:
            del self._of_project[session[0]]
