"""What is kept of responses: read where a call goes on from one, written before its last words.

A response that cannot be written down goes out all the same, and says that it is not stored.
"""

import asyncio
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

from tokenbooth.content.responses import service as responses
from tokenbooth.content.responses.service import Content, ResponseAsk, StoredResponse
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Randomness, Sink, Store, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Receipt
from tokenbooth.gateway.kept import NOTHING, Kept
from tokenbooth.gateway.lanes import Lane, Said, SocketMemory
from tokenbooth.gateway.options import ResponseOptions
from tokenbooth.gateway.tee import AnswerSpace, LastWords
from tokenbooth.gateway.till import Till
from tokenbooth.protocols.dialect import Memory, Parsed
from tokenbooth.protocols.openai_responses import memory as words
from tokenbooth.protocols.openai_responses.body import response_id
from tokenbooth.protocols.wire_json import encode

STORE_WAIT_MAX_S = 2
TIDY_STEPS_MAX = 20
# How many of the largest responses are read for one call at most.
CONVERSATION_RESPONSES_MAX = 4
REFERENCES_MAX = 256
Json = dict[str, Any]


class KeptAnswer(Kept):
    """A call whose response is stored when it ends."""

    def __init__(self, desk: "ResponseDesk", op: Op, memory: Memory) -> None:
        self._desk = desk
        self._op = op
        self._memory = memory
        self._sink: LastWords | None = None

    def tee(self, sink: Sink) -> Sink:
        self._sink = LastWords(sink)
        return self._sink

    async def stored(
        self, receipt: Receipt | None, write: Callable[[], None]
    ) -> Callable[[], None]:
        sink = self._sink
        assert sink is not None, "an answer is written through the tee"
        sink.hold_back()
        try:
            write()
            response = words.final_of(sink.words) if sink.well else None
            if response is not None and not await self._keep(response):
                sink.words = words.unstored(sink.words)
        except BaseException:
            sink.let_go()
            raise
        return sink.let_go

    async def _keep(self, response: Json) -> bool:
        return await self._desk.keep(self._op, self._memory, self._content(response))

    def _content(self, response: Json) -> Content:
        items = words.kept_items(self._memory, self._op.request_id)
        return Content(items, encode(response))


class HeardAnswer(KeptAnswer):
    """A call on a socket, which remembers what is not stored."""

    def __init__(self, desk: "ResponseDesk", op: Op, memory: Memory, lane: Lane) -> None:
        super().__init__(desk, op, memory)
        self._lane = lane

    async def _keep(self, response: Json) -> bool:
        content, store = self._content(response), self._memory.store
        stored = store and await self._desk.keep(self._op, self._memory, content)
        if response["status"] != words.FAILED:
            self._lane.ended(None if stored else self._said(content))
        return stored or not store

    def _said(self, content: Content) -> Said:
        return Said(response_id(self._op.request_id), self._memory.previous_id, content)


class ResponseDesk:
    """Stored responses as this process reads and writes them. ``key`` is the instance's sealing
    key."""

    def __init__(
        self, store: Store, till: Till, *, key: bytes, noise: Randomness, options: ResponseOptions
    ) -> None:
        self._store = store
        self._till = till
        self._key = key
        self._noise = noise
        self._options = options
        self._remembered = AnswerSpace(options.socket_bytes_max)
        self._lane: Lane | None = None

    def socket_memory(self) -> SocketMemory:
        """For one socket; to be closed with it."""
        bytes_max = CONVERSATION_RESPONSES_MAX * self._options.response_bytes_max
        return SocketMemory(self._remembered, bytes_max)

    def beside(self, lane: Lane) -> "ResponseDesk":
        """The same desk for calls of one stream of a socket."""
        made = copy(self)
        made._lane = lane
        return made

    async def recalled(self, op: Op, caller: Caller, parsed: Parsed) -> Parsed:
        """The question with what it goes on from and refers to.

        Raises PREVIOUS_RESPONSE_NOT_FOUND, RESPONSE_NOT_FOUND, STATE_CONFLICT, INVALID_VALUE, what
        reading the input raises, and LEDGER_UNAVAILABLE.
        """
        memory = parsed.memory
        if memory is None:
            return parsed
        if memory.seals:
            memory = replace(memory, seal=partial(self._sealed, caller.project_id))
            parsed = replace(parsed, memory=memory)
        if not memory.recalls:
            return parsed
        said = None if self._lane is None else self._lane.found(memory.previous_id)
        if said is not None:
            memory = replace(memory, previous_id=said.base)
            parsed = replace(parsed, memory=memory)
        here = [] if said is None else said.items()
        if len(memory.references) > REFERENCES_MAX:
            raise Problem(
                Code.INVALID_VALUE,
                f"The input has {len(memory.references)} references; the most is {REFERENCES_MAX}.",
                param="input",
            )
        chain: Sequence[StoredResponse] = ()
        named: Sequence[StoredResponse] = ()
        if memory.previous_id is not None or memory.references:
            read = partial(self._named, op, caller.project_id, memory)
            chain, named = await self._store.read(read)
        earlier = [*(item for link in chain for item in self._conversation(link)), *here]
        known = [*(item for link in named for item in self._conversation(link)), *earlier]
        found = {item["id"]: item for item in known}
        sealed = (*memory.thoughts, *words.sealed_in(earlier))
        opened = {one: self._opened(caller.project_id, one) for one in sealed}
        readable = {sealed: text for sealed, text in opened.items() if text is not None}
        return words.completed(parsed, earlier, found, readable, kept_with=here)

    def kept(self, op: Op, parsed: Parsed) -> Kept:
        """What is to become of the response of a call."""
        memory = parsed.memory
        if memory is None:
            return NOTHING
        if self._lane is not None:
            return HeardAnswer(self, op, memory, self._lane)
        return KeptAnswer(self, op, memory) if memory.store else NOTHING

    def prepared(self, op: Op, parsed: Parsed, response: Json) -> None:
        """Remember a conversation to which nothing was answered yet; on a socket alone."""
        memory = parsed.memory
        assert memory is not None, "a response remembers"
        assert self._lane is not None, "only a socket prepares"
        content = Content(words.kept_items(memory, op.request_id), encode(response))
        self._lane.ended(Said(response["id"], memory.previous_id, content))

    async def keep(self, op: Op, memory: Memory, content: Content) -> bool:
        """Store what became of a call; False where it cannot be, or may not be."""
        if content.size_bytes > self._options.response_bytes_max:
            return False
        ask = self._ask(op, memory)
        sealed = responses.sealed_content(
            content, ask.project_id, ask.response_id, self._key, self._noise
        )
        try:
            async with asyncio.timeout(STORE_WAIT_MAX_S):
                return await self._store.write(partial(_keep, op, ask, sealed))
        except (Problem, TimeoutError) as error:
            op.log.fault("response_not_stored", error, request_id=op.request_id)
            return False

    async def row(self, op: Op, caller: Caller, response_id: str) -> StoredResponse:
        """A stored response, sealed. Raises RESPONSE_NOT_FOUND."""
        return await self._store.read(partial(_response, op, caller.project_id, response_id))

    async def response(self, op: Op, caller: Caller, response_id: str) -> Content:
        """A stored response as it ended, or as it begun where it is not over. Raises
        RESPONSE_NOT_FOUND."""
        stored = await self.row(op, caller, response_id)
        content = self._content(stored)
        return (
            replace(content, response=words.running(content.response))
            if stored.running
            else content
        )

    async def items(self, op: Op, caller: Caller, response_id: str) -> list[Json]:
        """The items that a response was made from, as far as they are still stored, oldest first.

        Raises RESPONSE_NOT_FOUND.
        """
        read = partial(self._history, op, caller.project_id, response_id)
        *before, last = await self._store.read(read)
        earlier = [item for link in before for item in self._conversation(link)]
        return [*earlier, *words.listed_items(self._content(last).items)]

    async def drop(self, op: Op, caller: Caller, response_id: str) -> None:
        """Raises RESPONSE_NOT_FOUND."""
        await self._store.write(partial(_drop, op, caller.project_id, response_id))

    async def tidy(self, op: Op) -> int:
        """Delete what has expired and what may not be kept, in steps; returns how much."""
        total = 0
        for _ in range(TIDY_STEPS_MAX):
            dropped = await self._store.write(partial(_drop_over, op))
            total += dropped
            if dropped < responses.BATCH:
                break
        return total

    def _named(
        self, op: Op, project_id: str, memory: Memory, tx: Tx
    ) -> tuple[Sequence[StoredResponse], Sequence[StoredResponse]]:
        """The conversation so far, and the responses that have the items referred to."""
        chain: Sequence[StoredResponse] = ()
        if memory.previous_id is not None:
            chain = self._chain(op, tx, project_id, memory.previous_id)
        owners = dict.fromkeys(map(words.owner_of, memory.references))
        found = (responses.found(op, tx, project_id, owner) for owner in owners if owner)
        return chain, tuple(link for link in found if link is not None)

    def _history(
        self, op: Op, project_id: str, response_id: str, tx: Tx
    ) -> Sequence[StoredResponse]:
        last = responses.response(op, tx, project_id, response_id)
        if last.previous_id is None:
            return (last,)
        try:
            return (*self._chain(op, tx, project_id, last.previous_id), last)
        except Problem as problem:
            if problem.kind is Kind.OVERLOADED:
                raise
            return (last,)

    def _chain(self, op: Op, tx: Tx, project_id: str, last_id: str) -> Sequence[StoredResponse]:
        bytes_max = CONVERSATION_RESPONSES_MAX * self._options.response_bytes_max
        return responses.chain(op, tx, project_id, last_id, bytes_max)

    def _conversation(self, link: StoredResponse) -> list[Json]:
        content = self._content(link)
        return words.conversation(content.items, content.response)

    def _content(self, stored: StoredResponse) -> Content:
        """Raises RESPONSE_NOT_FOUND for what was sealed under another key."""
        content = responses.content_of(stored, self._key)
        if content is None:
            raise responses.not_found(stored.response_id)
        return content

    def _sealed(self, project_id: str, thought: str) -> str:
        return responses.sealed_thought(thought, project_id, self._key, self._noise)

    def _opened(self, project_id: str, sealed: str) -> str | None:
        return responses.thought_of(sealed, project_id, self._key)

    def _ask(self, op: Op, memory: Memory) -> ResponseAsk:
        assert op.caller is not None, "only a known caller's response is stored"
        return ResponseAsk(
            org_id=op.caller.org_id,
            project_id=op.caller.project_id,
            response_id=response_id(op.request_id),
            previous_id=memory.previous_id,
            background=False,
            replica_id=self._till.replica_id,
            epoch=self._till.epoch,
            keep_us=self._options.kept_s * 1_000_000,
        )


def _keep(op: Op, ask: ResponseAsk, sealed: bytes, tx: Tx) -> bool:
    return responses.keep(op, tx, ask, sealed)


def _response(op: Op, project_id: str, response_id: str, tx: Tx) -> StoredResponse:
    return responses.response(op, tx, project_id, response_id)


def _drop(op: Op, project_id: str, response_id: str, tx: Tx) -> None:
    responses.drop(op, tx, project_id, response_id)


def _drop_over(op: Op, tx: Tx) -> int:
    return responses.drop_over(op, tx)
