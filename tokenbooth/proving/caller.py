"""Makes one call as its plan says and writes down what its client saw."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tokenbooth.proving.accounts import level_of
from tokenbooth.proving.client import Address, Ask, Exchange
from tokenbooth.proving.observations import CallSeen, Closing, LevelSeen, RefusalSeen
from tokenbooth.proving.plans import CUTS, CallPlan
from tokenbooth.proving.wire import BrokenWire, Head

CALL_MAX_S = 120
TRIGGER_TEXTS = 3
DONE = "[DONE]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """What a drill does in the course of a call.

    ``connected`` is awaited when the connection stands and nothing is sent yet, ``sent`` when a
    call is about to be cut before its first event. ``midway`` runs once, when the answer is well
    under way or, at the latest, over. ``cut`` runs as the client hangs up.
    """

    connected: Callable[[], Awaitable[None]] | None = None
    sent: Callable[[], Awaitable[None]] | None = None
    midway: Callable[[], None] | None = None
    cut: Callable[[], None] | None = None


class PlannedCall:
    """``replica`` is the number of the server process that is asked."""

    def __init__(
        self,
        plan: CallPlan,
        now_us: Callable[[], int],
        moments: Moments | None = None,
        *,
        replica: int = 0,
    ) -> None:
        self._plan = plan
        self._now_us = now_us
        self._moments = moments or Moments()
        self._replica = replica
        self._midway = self._moments.midway
        self._head: Head | None = None
        self._error: Mapping[str, Any] = {}
        self._refusal: RefusalSeen | None = None
        self._events = 0
        self._texts = 0
        self._closing: Closing | None = None
        self._told_nano: int | None = None
        self._levels: tuple[LevelSeen, ...] = ()

    async def make(self, address: Address, ask: Ask) -> CallSeen:
        """Never raises for what a server can do wrong: it stands in ``broken``."""
        began_us = self._now_us()
        broken = ""
        try:
            exchange = Exchange(address, ask, self._moments.connected)
            async with asyncio.timeout(CALL_MAX_S), exchange:
                await self._converse(exchange)
        except TimeoutError:
            broken = f"no end within {CALL_MAX_S} s"
        except (BrokenWire, OSError, ValueError, KeyError, TypeError) as error:
            broken = f"{type(error).__name__}: {error}"
        self._fire()
        return self._seen(began_us, broken)

    def _seen(self, began_us: int, broken: str) -> CallSeen:
        headers = {} if self._head is None else self._head.headers
        retry_after = headers.get("retry-after", "")
        return CallSeen(
            plan=self._plan,
            closing=Closing.BROKEN if broken else self._closing or Closing.BROKEN,
            status=None if self._head is None else self._head.status,
            request_id=headers.get("x-request-id"),
            error_code=self._error.get("code"),
            error_type=self._error.get("type"),
            retry_after_s=int(retry_after) if retry_after.isdigit() else None,
            refusal=self._refusal,
            events=self._events,
            texts=self._texts,
            told_nano=self._told_nano,
            levels=self._levels,
            broken=broken,
            began_us=began_us,
            ended_us=self._now_us(),
            replica=self._replica,
        )

    async def _converse(self, exchange: Exchange) -> None:
        if self._plan.kind in CUTS and self._plan.cut_after_events == 0:
            await asyncio.sleep(self._plan.pause_ms / 1000)
            if self._moments.sent is not None:
                await self._moments.sent()
            self._cut(exchange)
            return
        self._head = await exchange.head()
        if self._head.headers.get("content-type", "").startswith("text/event-stream"):
            await self._listen(exchange)
        else:
            self._whole(json.loads(await exchange.body()))

    async def _listen(self, exchange: Exchange) -> None:
        cut_at = self._plan.cut_after_events if self._plan.kind in CUTS else None
        async for event in exchange.events():
            if self._closing is not None:
                raise BrokenWire(f"an event after the end: {event[:80]!r}")
            self._events += 1
            if event == DONE:
                self._closing = Closing.DONE
            else:
                self._event(json.loads(event))
            if self._texts >= TRIGGER_TEXTS:
                self._fire()
            if cut_at is not None and self._events >= cut_at:
                self._cut(exchange)
                return
        if self._closing is None:
            raise BrokenWire("the stream ended without a terminal event")

    def _event(self, event: Mapping[str, Any]) -> None:
        if "error" in event:
            self._closing = Closing.ERROR
            self._fail(event)
            return
        self._texts += sum(bool(choice["delta"].get("content")) for choice in event["choices"])
        self._tell(event)

    def _whole(self, document: Mapping[str, Any]) -> None:
        self._closing = Closing.BODY
        if "error" in document:
            self._fail(document)
        else:
            self._tell(document)

    def _fail(self, document: Mapping[str, Any]) -> None:
        error = document["error"]
        if not (isinstance(error, dict) and isinstance(error.get("code"), str | None)):
            raise TypeError(f"not an error: {error!r:.80}")
        self._error = error
        self._refusal = refusal_of(error)

    def _tell(self, document: Mapping[str, Any]) -> None:
        usage = document.get("usage")
        if usage:
            self._told_nano = usage["cost"]["amount_nano"]
            self._levels = tuple(map(level_of, usage["limits"]))

    def _cut(self, exchange: Exchange) -> None:
        """An answer that has ended stays complete, whoever hangs up first."""
        self._closing = self._closing or Closing.CUT
        exchange.cut(abrupt=self._plan.abrupt)
        if self._moments.cut is not None:
            self._moments.cut()

    def _fire(self) -> None:
        midway, self._midway = self._midway, None
        if midway is not None:
            midway()


def refusal_of(error: Mapping[str, Any]) -> RefusalSeen | None:
    """The numbers of a refusal for lack of money, ``None`` for any other error."""
    if "needed_nano" not in error:
        return None
    return RefusalSeen(
        scope=error["limit_source"],
        limit_nano=error["limit_nano"],
        spent_nano=error["spent_nano"],
        held_nano=error["held_nano"],
        needed_nano=error["needed_nano"],
    )
