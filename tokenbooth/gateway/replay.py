"""Step 3, with an idempotency key: one run, one charge, and the same answer to each repetition.

A claim that is not let go of properly, whatever the reason, is resolved by the record of its call:
by the next call with the same key, or by a sweep of the process that had it.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from tokenbooth.content.replays import service as replays
from tokenbooth.content.replays.service import (
    Claim,
    ClaimAsk,
    ClaimState,
    Fate,
    Lack,
    Over,
    StoredAnswer,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead, Randomness, Sink, Store, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Receipt
from tokenbooth.gateway.options import ReplayOptions
from tokenbooth.gateway.tee import AnswerSpace, Tee
from tokenbooth.gateway.till import Till
from tokenbooth.money.leases import service as leases
from tokenbooth.money.meter import service as meter

REPLAYED = "x-tokenbooth-replayed"
STORE_WAIT_MAX_S = 2
# Of a call that ended elsewhere: time enough for its process to store the answer.
GRACE_US = 60_000_000
TIDY_STEPS_MAX = 20


class Once:
    """A call without an idempotency key: it runs, and nothing of it is kept."""

    async def replay(self, sink: Sink) -> bool:
        """Give the stored answer again; False when the call is to run."""
        return False

    def tee(self, sink: Sink) -> Sink:
        """The sink that the call is to write to."""
        return sink

    async def answer(self, receipt: Receipt | None, write: Callable[[], None]) -> None:
        """Let ``write`` say the last of the answer, once it is stored."""
        write()

    async def refused(self, *, held: bool) -> None:
        """The call ended by a problem; ``held``: after money was held for it."""

    def close(self) -> None:
        """The call is over in every way."""


FREELY = Once()


class Repeated(Once):
    """A call whose answer is known."""

    def __init__(self, answer: StoredAnswer, claim: Claim) -> None:
        self._answer = answer
        self._claim = claim

    async def replay(self, sink: Sink) -> bool:
        """A stream goes out in the pieces in which it went out first."""
        original = (REPLAYED, self._claim.request_id)
        sink.start(self._answer.status, (*self._answer.headers, original))
        chunks = self._answer.chunks
        for chunk in chunks:
            sink.write(chunk)
            if len(chunks) > 1:
                await asyncio.sleep(0)
        sink.end()
        return True


class FirstCall(Once):
    """A call that has its idempotency key."""

    def __init__(self, desk: "ReplayDesk", op: Op, ask: ClaimAsk) -> None:
        self._desk = desk
        self._op = op
        self._ask = ask
        self._tee: Tee | None = None

    def tee(self, sink: Sink) -> Sink:
        self._tee = self._desk.new_tee(sink)
        return self._tee

    async def answer(self, receipt: Receipt | None, write: Callable[[], None]) -> None:
        """Whoever hears the end of an answer finds it stored, unless storing failed."""
        assert self._tee is not None, "an answer is written through the tee"
        assert receipt is not None, "an answer is ended after its settlement"
        self._tee.hold_back()
        try:
            write()
            await self._desk.conclude(self._op, self._ask, receipt, self._tee.answer())
        finally:
            self._tee.let_go()

    async def refused(self, *, held: bool) -> None:
        """What may have been charged all the same is left to the record of the call."""
        if not held:
            await self._desk.release(self._op, self._ask)

    def close(self) -> None:
        self._desk.left(self._ask.request_id)
        if self._tee is not None:
            self._tee.close()


class ReplayDesk:
    """Claims of this process. ``key`` is the instance's sealing key."""

    def __init__(
        self, store: Store, till: Till, *, key: bytes, noise: Randomness, options: ReplayOptions
    ) -> None:
        self._store = store
        self._till = till
        self._key = key
        self._noise = noise
        self._options = options
        self._space = AnswerSpace(options.answers_bytes_max)
        self._live: set[str] = set()

    async def claimed(self, op: Op, head: CallHead, raw: bytes) -> Once:
        """The call as its Idempotency-Key lets it be: run freely, run once, or repeated.

        Raises INVALID_VALUE, IDEMPOTENCY_MISMATCH, IDEMPOTENCY_RUNNING, REPLAY_UNAVAILABLE, and
        LEDGER_UNAVAILABLE: without the ledger nobody knows whether a call is the first.
        """
        text = head.headers.get(replays.HEADER.lower())
        if text is None:
            return FREELY
        ask = self._ask(op, replays.checked_key(text), replays.body_sha256(head.path, raw))
        self._live.add(ask.request_id)
        found: Claim | None = None
        try:
            found = await self._store.write(partial(_claim, op, ask))
            if found is not None and found.state is ClaimState.RUNNING:
                found = await self._resolved(op, ask, found)
            if found is None:
                return FirstCall(self, op, ask)
        except BaseException:
            self.left(ask.request_id)
            raise
        self.left(ask.request_id)
        answer = replays.answer_of(found, self._key)
        if answer is None:
            raise replays.refusal_of(found)
        op.log.event(
            "call_replayed", request_id=op.request_id, original_request_id=found.request_id
        )
        return Repeated(answer, found)

    def new_tee(self, sink: Sink) -> Tee:
        return Tee(sink, self._space, self._options.answer_bytes_max)

    async def conclude(
        self, op: Op, ask: ClaimAsk, receipt: Receipt, answer: StoredAnswer | Lack
    ) -> None:
        """Write down what became of the call; bounded, and given up when it does not work."""
        fate = replays.fate_of(receipt.outcome, receipt.cost_nano)
        if fate is Fate.RELEASE:
            await self.release(op, ask)
            return
        over = Over(receipt.outcome.value, whole=False, lacks=Lack.NOT_WHOLE)
        if fate is Fate.DONE:
            over = Over(receipt.outcome.value, whole=True, lacks=Lack.NOT_STORED)
            if isinstance(answer, Lack):
                over = Over(over.outcome, whole=True, lacks=answer)
            else:
                sealed = replays.sealed_answer(answer, ask, self._key, self._noise)
                over = Over(over.outcome, whole=True, sealed=sealed)
        await self._tried(op, lambda tx: replays.finish(op, tx, ask, over))

    async def release(self, op: Op, ask: ClaimAsk) -> None:
        """The next call with the key runs."""
        await self._tried(op, lambda tx: replays.release(op, tx, ask))

    def left(self, request_id: str) -> None:
        """The call does not run here any more."""
        self._live.discard(request_id)

    async def sweep(self, op: Op) -> int:
        """Resolve the claims of this process whose calls are over; returns how many.

        At a start these are the claims of earlier runs, after their journal was told.
        """
        left, after = 0, None
        epoch = self._till.epoch + 1
        while page := await self._store.read(
            partial(_past, op, self._till.replica_id, epoch, after)
        ):
            after = page[-1]
            over = [claim for claim in page if claim.request_id not in self._live]
            told = bool(over) and await self._till.flushed()
            if told:
                await self._store.write(partial(self._close_all, op, over))
                left += len(over)
        return left

    async def tidy(self, op: Op) -> int:
        """Delete what has expired and what may not be kept, in steps; returns how much."""
        total = 0
        for _ in range(TIDY_STEPS_MAX):
            dropped = await self._store.write(partial(_drop_over, op))
            total += dropped
            if dropped < replays.BATCH:
                break
        return total

    def _ask(self, op: Op, key: str, body_sha256: bytes) -> ClaimAsk:
        assert op.caller is not None, "only a known caller claims"
        return ClaimAsk(
            org_id=op.caller.org_id,
            project_id=op.caller.project_id,
            key=key,
            body_sha256=body_sha256,
            request_id=op.request_id,
            replica_id=self._till.replica_id,
            epoch=self._till.epoch,
            keep_us=self._options.kept_s * 1_000_000,
        )

    async def _tried(self, op: Op, verb: Callable[[Tx], None]) -> None:
        """What fails here is made up for by a sweep, or by the next call with the key."""
        try:
            async with asyncio.timeout(STORE_WAIT_MAX_S):
                await self._store.write(verb)
        except (Problem, TimeoutError) as error:
            op.log.fault("claim_not_resolved", error, request_id=op.request_id)

    async def _resolved(self, op: Op, ask: ClaimAsk, found: Claim) -> Claim | None:
        if found.request_id in self._live:
            return found
        told = self._is_here(found) and await self._till.flushed()
        return await self._store.write(partial(self._resolve, op, ask, told))

    def _resolve(self, op: Op, ask: ClaimAsk, told: bool, tx: Tx) -> Claim | None:
        found = replays.claim(op, tx, ask)
        if found is None or found.state is not ClaimState.RUNNING:
            return found
        if found.request_id not in self._live and self._close(op, tx, found, told=told):
            return replays.claim(op, tx, ask)
        return found

    def _close_all(self, op: Op, claims: Sequence[Claim], tx: Tx) -> None:
        for claim in claims:
            self._close(op, tx, claim, told=True)

    def _close(self, op: Op, tx: Tx, claim: Claim, *, told: bool) -> bool:
        """Resolve a claim by the record of its call, if it is sure that nothing more comes.

        ``told``: the ledger knows every call of this process that is over.
        """
        past = self._is_past(op, tx, claim)
        over = past or (told and self._is_here(claim))
        record = _record(op, tx, claim)
        if record is None or record.outcome is None:
            free = past or (over and record is None)  # a lost run leaves records that never end
            if free:
                replays.release(op, tx, claim)
            return free
        if not over and op.now() - (record.ended_us or 0) < GRACE_US:
            return False
        fate = replays.fate_of(record.outcome, record.cost_nano)
        if fate is Fate.RELEASE:
            replays.release(op, tx, claim)
        else:
            whole = fate is Fate.DONE
            lack = Lack.NOT_STORED if whole else Lack.NOT_WHOLE
            replays.finish(op, tx, claim, Over(record.outcome.value, whole=whole, lacks=lack))
        return True

    def _is_here(self, claim: Claim) -> bool:
        return (claim.replica_id, claim.epoch) == (self._till.replica_id, self._till.epoch)

    def _is_past(self, op: Op, tx: Tx, claim: Claim) -> bool:
        """Whether the run that had the call can charge nothing more.

        A process serves only after its journal is told. Of others, only forfeited runs are sure.
        """
        if claim.replica_id == self._till.replica_id:
            return claim.epoch < self._till.epoch
        return any(
            line.id == claim.replica_id and line.forfeited_epoch >= claim.epoch
            for line in leases.replicas(op, tx)
        )


def _claim(op: Op, ask: ClaimAsk, tx: Tx) -> Claim | None:
    return replays.claim(op, tx, ask)


def _past(op: Op, replica_id: str, epoch: int, after: Claim | None, tx: Tx) -> tuple[Claim, ...]:
    return replays.past(op, tx, replica_id, epoch, after)


def _drop_over(op: Op, tx: Tx) -> int:
    return replays.drop_over(op, tx)


def _record(op: Op, tx: Tx, claim: Claim) -> meter.CallRecord | None:
    try:
        return meter.call(op, tx, claim.org_id, claim.request_id)
    except Problem as problem:
        if problem.code is not Code.RECORD_NOT_FOUND:
            raise
        return None
