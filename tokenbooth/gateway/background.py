"""Calls that nobody waits for: the same ten steps, told to a log that is stored as it grows.

A response is stored before its call holds money, and is ended in the store by the call itself, or,
where the process was killed, by its next start. Its events go to the store every so often, and the
last of them with its end, so that whoever reads later, or elsewhere, reads the same.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from tokenbooth.content.responses import service as responses
from tokenbooth.content.responses.service import (
    Content,
    ResponseAsk,
    ResponseKey,
    StoredResponse,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Randomness, Sink, Store, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Receipt
from tokenbooth.gateway.event_log import EventLog
from tokenbooth.gateway.headers import Pairs
from tokenbooth.gateway.kept import Kept, Tell
from tokenbooth.gateway.options import ResponseOptions
from tokenbooth.gateway.rules import Delivery
from tokenbooth.gateway.tee import AnswerSpace
from tokenbooth.gateway.till import Till
from tokenbooth.money.leases import service as leases
from tokenbooth.money.meter import service as meter
from tokenbooth.protocols.dialect import Memory, Parsed
from tokenbooth.protocols.openai_responses import memory as words
from tokenbooth.protocols.openai_responses import standing
from tokenbooth.protocols.openai_responses.body import RESPONSE_ID, response_id, tokens_json
from tokenbooth.protocols.wire_json import encode

FLUSH_EVERY_S = 0.25
# The end of a response is tried so often, with a pause between, while the database is away.
FINISH_TRIES = 20
FINISH_PAUSE_S = 1
Json = dict[str, Any]


class BackgroundCall(Kept):
    """One call that runs in the background of this process."""

    def __init__(self, desk: "BackgroundDesk", op: Op, parsed: Parsed, key: ResponseKey) -> None:
        assert parsed.memory is not None, "only what remembers runs in the background"
        self._desk = desk
        self._op = op
        self._memory: Memory = parsed.memory
        self._begun = standing.begun(parsed, op.request_id, op.now() // 1_000_000)
        self._told = 0
        self._flushing: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        self._delivered: tuple[Delivery, int | None] | None = None
        self._tell: Tell | None = None
        self._log: EventLog | None = None
        self.key = key

    @property
    def log(self) -> EventLog:
        assert self._log is not None, "a call runs behind its tee"
        return self._log

    @property
    def content(self) -> Content:
        """As it is stored before the call runs."""
        return self._content(self._begun)

    def tee(self, sink: Sink) -> Sink:
        self._log = EventLog(sink, self._desk.space, streams=self._memory.streams)
        self._desk.live[self.key] = self._log
        return self._log

    def delivering(self, tell: Tell) -> Tell:
        """A crash leaves what is stored and nothing else, so that is what left."""
        self._tell = tell
        return self._left

    def began(self, headers: Pairs) -> None:
        self.log.answer(encode(self._begun), headers)
        self._flushing = asyncio.create_task(self._flush_often())

    async def stored(
        self, receipt: Receipt | None, write: Callable[[], None]
    ) -> Callable[[], None]:
        log = self.log
        log.hold_back()
        try:
            write()
            response = words.final_of(log.words or b"")
            if response is None:
                response = self._end_untold(receipt)
                log.words = standing.terminal_event(response, len(log.events))
            await self._finish(response, log.words or b"")
        except BaseException:
            log.let_go()
            raise
        return log.let_go

    async def refused(self, *, held: bool) -> None:
        if not held:
            await self._desk.withdraw(self._op, self.key)
            return
        response = words.final_of(b"".join(self.log.events[-1:]))
        if response is None:
            response = self._end_untold(None)
            self.log.events.append(standing.terminal_event(response, len(self.log.events)))
        await self._finish(response, b"")

    def close(self) -> None:
        self._ending.set()
        if self._log is not None:
            self._log.close()
            self._desk.live.pop(self.key, None)

    def _end_untold(self, receipt: Receipt | None) -> Json:
        """The response of a call that ended without a word of its own."""
        log = self.log
        if log.refusal:
            return standing.refused(self._begun, log.status or 500, log.refusal)
        stands = standing.standing(self._begun, log.events)
        return (standing.cut if log.full else standing.cancelled)(stands, receipt)

    async def _finish(self, response: Json, last: bytes) -> None:
        """Everything that is not stored yet, and the end; given up after a while, for a sweep."""
        self._ending.set()
        if self._flushing is not None:
            await self._flushing
        events = (*self.log.events[self._told :], *standing.split(last))
        content = self._content(response)
        for left in reversed(range(FINISH_TRIES)):
            try:
                await self._desk.finish(self._op, self.key, content, (self._told, events))
                return
            except Problem as problem:
                if not left:
                    self._op.log.fault(
                        "response_not_stored", problem, request_id=self._op.request_id
                    )
                    return
                await asyncio.sleep(FINISH_PAUSE_S)

    def _left(self, delivery: Delivery, first_output_us: int | None) -> None:
        self._delivered = delivery, first_output_us

    async def _flush_often(self) -> None:
        while not self._ending.is_set():
            events, delivered = tuple(self.log.events[self._told :]), self._delivered
            if events:
                with suppress(Problem):  # then they are stored with those that follow
                    await self._desk.add_events(self._op, self.key, self._told, events)
                    self._told += len(events)
                    if delivered is not None and self._tell is not None:
                        self._tell(*delivered)
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_EVERY_S):
                    await self._ending.wait()

    def _content(self, response: Json) -> Content:
        return Content(words.kept_items(self._memory, self._op.request_id), encode(response))


class BackgroundDesk:
    """The background calls of this process. ``key`` is the instance's sealing key."""

    def __init__(
        self, store: Store, till: Till, *, key: bytes, noise: Randomness, options: ResponseOptions
    ) -> None:
        self._store = store
        self._till = till
        self._key = key
        self._noise = noise
        self._options = options
        self.space = AnswerSpace(options.background_bytes_max)
        self.live: dict[ResponseKey, EventLog] = {}

    async def opened(self, op: Op, parsed: Parsed) -> BackgroundCall:
        """A response that is about to run.

        Raises RATE_LIMITED where the project has too many, BODY_TOO_LARGE, INVALID_VALUE where the
        project keeps no answers, and LEDGER_UNAVAILABLE.
        """
        assert op.caller is not None, "only a known caller's response is stored"
        project_id = op.caller.project_id
        if sum(owner == project_id for owner, _ in self.live) >= self._options.background_calls_max:
            raise Problem(
                Code.RATE_LIMITED,
                f"This project has {self._options.background_calls_max} background responses here.",
                param="background",
                retry_after_s=1,
            )
        call = BackgroundCall(self, op, parsed, (project_id, response_id(op.request_id)))
        content = call.content
        if content.size_bytes > self._options.response_bytes_max:
            raise Problem(
                Code.BODY_TOO_LARGE,
                f"The input is larger than the {self._options.response_bytes_max} bytes that are"
                " stored of a response.",
                param="input",
            )
        ask = ResponseAsk(
            org_id=op.caller.org_id,
            project_id=project_id,
            response_id=call.key[1],
            previous_id=parsed.memory.previous_id if parsed.memory else None,
            background=True,
            replica_id=self._till.replica_id,
            epoch=self._till.epoch,
            keep_us=self._options.kept_s * 1_000_000,
        )
        sealed = responses.sealed_content(content, *call.key, self._key, self._noise)
        if not await self._store.write(partial(_begin, op, ask, sealed)):
            raise Problem(
                Code.INVALID_VALUE,
                "background needs storage, and this project keeps no answers.",
                param="background",
            )
        return call

    async def add_events(
        self, op: Op, key: ResponseKey, first: int, events: tuple[bytes, ...]
    ) -> None:
        sealed = responses.sealed_events(events, key, first, self._key, self._noise)
        await self._store.write(partial(_add_events, op, key, first, sealed))

    async def finish(
        self, op: Op, key: ResponseKey, content: Content, rest: tuple[int, tuple[bytes, ...]]
    ) -> None:
        """Say how a response ended, with the number of the first event that is not stored yet."""
        if content.size_bytes > self._options.response_bytes_max:
            content = Content(content.items, encode({**json.loads(content.response), "output": []}))
        sealed = responses.sealed_content(content, *key, self._key, self._noise)
        first, events = rest
        group = responses.sealed_events(events, key, first, self._key, self._noise)
        await self._store.write(partial(_finish, op, key, sealed, (first, group)))

    async def said(self, op: Op, key: ResponseKey, number: int) -> tuple[tuple[bytes, ...], bool]:
        """Some of the stored events of a response from ``number`` on, and whether more may come.

        Raises RESPONSE_NOT_FOUND.
        """
        return await self._store.read(partial(self._said, op, key, number))

    async def withdraw(self, op: Op, key: ResponseKey) -> None:
        """What fails here is made up for by a sweep."""
        try:
            await self._store.write(partial(_withdraw, op, key))
        except Problem as problem:
            op.log.fault("response_not_stored", problem, request_id=op.request_id)

    async def cancel(self, op: Op, stored: StoredResponse) -> None:
        """Ask for the end of a running response, wherever it runs."""
        key = (stored.project_id, stored.response_id)
        await self._store.write(partial(_cancel, op, key))
        log = self.live.get(key)
        if log is not None:
            log.cut()

    async def stop_cancelled(self, op: Op) -> int:
        """End the calls here whose callers asked another process for that; returns how many."""
        if not self.live:
            return 0
        wanted = await self._store.read(partial(_cancelled, op, self._till.replica_id))
        hit = [log for (_, name), log in self.live.items() if name in wanted]
        for log in hit:
            log.cut()
        return len(hit)

    async def sweep(self, op: Op) -> int:
        """End the responses that nobody runs any more; returns how many.

        They are of this process, at a start those of earlier runs, after their journal was told,
        or of processes whose leases were forfeited.
        """
        epoch = self._till.epoch + 1
        found = await self._store.read(partial(_past, op, self._till.replica_id, epoch))
        left = [row for row in found if (row.project_id, row.response_id) not in self.live]
        if left and await self._till.flushed():
            for row in left:
                await self._store.write(partial(self._abandon, op, row))
            return len(left)
        return 0

    def _said(
        self, op: Op, key: ResponseKey, number: int, tx: Tx
    ) -> tuple[tuple[bytes, ...], bool]:
        row = responses.response(op, tx, *key)
        groups = responses.events(op, tx, key, number)
        found: list[bytes] = []
        for first, sealed in groups:
            events = responses.events_of(sealed, key, first, self._key)
            found += events[max(0, number - first) :]
        return tuple(found), row.running or len(groups) == responses.GROUPS

    def _abandon(self, op: Op, row: StoredResponse, tx: Tx) -> None:
        """As far as its events were stored, with what its record says that it used."""
        key = (row.project_id, row.response_id)
        content = responses.content_of(row, self._key)
        if content is None:
            responses.withdraw(op, tx, *key)
            return
        request_id = "req_" + row.response_id.removeprefix(RESPONSE_ID)
        told = self._stored_events(op, tx, key)
        stands = standing.standing(json.loads(content.response), told)
        problem = Problem(Code.SHUTTING_DOWN, "The server stopped while the response was made.")
        response = standing.failed(stands, problem, request_id)
        response["usage"] = _usage(op, tx, row.org_id, request_id)
        last = standing.terminal_event(response, len(told))
        sealed = responses.sealed_content(
            Content(content.items, encode(response)), *key, self._key, self._noise
        )
        group = responses.sealed_events((last,), key, len(told), self._key, self._noise)
        _finish(op, key, sealed, (len(told), group), tx)

    def _stored_events(self, op: Op, tx: Tx, key: ResponseKey) -> list[bytes]:
        told: list[bytes] = []
        while True:
            groups = responses.events(op, tx, key, len(told))
            for first, sealed in groups:
                told[first:] = responses.events_of(sealed, key, first, self._key)
            if len(groups) < responses.GROUPS:
                return told


def _usage(op: Op, tx: Tx, org_id: str, request_id: str) -> Json | None:
    try:
        usage = meter.call(op, tx, org_id, request_id).usage
    except Problem:
        return None
    return None if usage is None else tokens_json(usage)


def _begin(op: Op, ask: ResponseAsk, sealed: bytes, tx: Tx) -> bool:
    return responses.begin(op, tx, ask, sealed)


def _add_events(op: Op, key: ResponseKey, first: int, sealed: bytes, tx: Tx) -> None:
    responses.add_events(op, tx, key, first, sealed)


def _finish(op: Op, key: ResponseKey, sealed: bytes, group: tuple[int, bytes], tx: Tx) -> None:
    responses.add_events(op, tx, key, *group)
    responses.finish(op, tx, *key, sealed)


def _withdraw(op: Op, key: ResponseKey, tx: Tx) -> None:
    responses.withdraw(op, tx, *key)


def _cancel(op: Op, key: ResponseKey, tx: Tx) -> None:
    responses.cancel(op, tx, *key)


def _cancelled(op: Op, replica_id: str, tx: Tx) -> frozenset[str]:
    return responses.cancelled(op, tx, replica_id)


def _past(op: Op, replica_id: str, epoch: int, tx: Tx) -> tuple[StoredResponse, ...]:
    lost = {
        line.id: line.forfeited_epoch + 1
        for line in leases.replicas(op, tx)
        if line.id != replica_id and line.forfeited_epoch
    }
    gone = {**lost, replica_id: epoch}
    return tuple(row for name in gone for row in responses.past(op, tx, name, gone[name]))
