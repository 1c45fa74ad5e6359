"""Makes one call as its plan says and writes down what its client saw."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from tokenbooth.proving.client import Address, Ask, Exchange
from tokenbooth.proving.observations import CallSeen, Closing, LevelSeen
from tokenbooth.proving.schedule import CUTS, CallKind, CallPlan
from tokenbooth.proving.wire import BrokenWire

CALL_MAX_S = 120
TRIGGER_TEXTS = 3
DONE = "[DONE]"


class PlannedCall:
    """``trigger`` runs once, when the answer is well under way or, at the latest, over."""

    def __init__(
        self, plan: CallPlan, now_us: Callable[[], int], trigger: Callable[[], None] | None = None
    ) -> None:
        self._plan = plan
        self._now_us = now_us
        self._trigger = trigger
        self._status: int | None = None
        self._request_id: str | None = None
        self._error_code: str | None = None
        self._texts = 0
        self._closing: Closing | None = None
        self._told_nano: int | None = None
        self._levels: tuple[LevelSeen, ...] = ()

    async def make(self, address: Address, ask: Ask) -> CallSeen:
        """Never raises for what a server can do wrong: it stands in ``broken``."""
        began_us = self._now_us()
        broken = ""
        try:
            async with asyncio.timeout(CALL_MAX_S), Exchange(address, ask) as exchange:
                await self._converse(exchange)
        except TimeoutError:
            broken = f"no end within {CALL_MAX_S} s"
        except (BrokenWire, OSError, ValueError, KeyError, TypeError) as error:
            broken = f"{type(error).__name__}: {error}"
        self._fire()
        return CallSeen(
            plan=self._plan,
            closing=Closing.BROKEN if broken else self._closing or Closing.BROKEN,
            status=self._status,
            request_id=self._request_id,
            error_code=self._error_code,
            texts=self._texts,
            told_nano=self._told_nano,
            levels=self._levels,
            broken=broken,
            began_us=began_us,
            ended_us=self._now_us(),
        )

    async def _converse(self, exchange: Exchange) -> None:
        if self._plan.kind in CUTS and self._plan.cut_after_events == 0:
            await asyncio.sleep(self._plan.pause_ms / 1000)
            self._cut(exchange)
            return
        head = await exchange.head()
        self._status = head.status
        self._request_id = head.headers.get("x-request-id")
        if head.headers.get("content-type", "").startswith("text/event-stream"):
            await self._listen(exchange)
        else:
            self._whole(json.loads(await exchange.body()))

    async def _listen(self, exchange: Exchange) -> None:
        async for event in exchange.events():
            if self._closing is not None:
                raise BrokenWire(f"an event after the end: {event[:80]!r}")
            if event == DONE:
                self._closing = Closing.DONE
                continue
            self._event(json.loads(event))
            if self._texts >= TRIGGER_TEXTS:
                self._fire()
            cut_at = self._plan.cut_after_events
            if self._plan.kind is CallKind.STREAM_CUT and self._texts >= cut_at:
                self._cut(exchange)
                return
        if self._closing is None:
            raise BrokenWire("the stream ended without a terminal event")

    def _event(self, event: Mapping[str, Any]) -> None:
        if "error" in event:
            self._closing = Closing.ERROR
            self._error_code = event["error"]["code"]
            return
        self._texts += sum(bool(choice["delta"].get("content")) for choice in event["choices"])
        self._tell(event)

    def _whole(self, document: Mapping[str, Any]) -> None:
        self._closing = Closing.BODY
        if "error" in document:
            self._error_code = document["error"]["code"]
        else:
            self._tell(document)

    def _tell(self, document: Mapping[str, Any]) -> None:
        usage = document.get("usage")
        if usage:
            self._told_nano = usage["cost"]["amount_nano"]
            self._levels = tuple(map(level_of, usage["limits"]))

    def _cut(self, exchange: Exchange) -> None:
        self._closing = Closing.CUT
        exchange.cut(abrupt=self._plan.abrupt)

    def _fire(self) -> None:
        trigger, self._trigger = self._trigger, None
        if trigger is not None:
            trigger()


def level_of(row: Mapping[str, Any]) -> LevelSeen:
    """Read one entry of ``limits``."""
    limit = row["limit"]
    return LevelSeen(
        scope=row["scope"],
        owner_id=row["owner_id"],
        limit_nano=None if limit is None else limit["amount_nano"],
        spent_nano=row["spent"]["amount_nano"],
        held_nano=row["held"]["amount_nano"],
    )
