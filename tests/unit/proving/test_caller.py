import asyncio
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.wire_server import (
    LAST_CHUNK,
    STREAM_HEAD,
    Play,
    answers,
    body_answer,
    chunk,
    event_chunk,
    wire_server,
)
from tokenbooth.proving import caller
from tokenbooth.proving.caller import Moments, PlannedCall
from tokenbooth.proving.client import Address, Ask
from tokenbooth.proving.observations import CallSeen, Closing, LevelSeen, RefusalSeen
from tokenbooth.proving.plans import CallKind, CallPlan

STREAMED = CallPlan(number=1, kind=CallKind.STREAMED, key="k", prompt="p", stream=True)
WHOLE = replace(STREAMED, kind=CallKind.WHOLE, stream=False)
AMOUNT = {"amount": "0.000000007", "amount_nano": 7}
LIMIT = {
    "scope": "balance",
    "owner_id": "org",
    "limit": {"amount_nano": 100},
    "spent": AMOUNT,
    "held": {"amount_nano": 1},
}
USAGE = {"cost": AMOUNT, "limits": [LIMIT, {**LIMIT, "scope": "key", "limit": None}]}
LEVELS = (LevelSeen("balance", "org", 100, 7, 1), LevelSeen("key", "org", None, 7, 1))
END = (event_chunk("[DONE]"), LAST_CHUNK)


def text(content: str | None = "hi", **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    return event_chunk(json.dumps({"choices": [choice], "usage": None, **more}))


def failure(code: str) -> bytes:
    return event_chunk(json.dumps({"error": {"code": code, "message": "x"}}))


def seen(play: Play, plan: CallPlan = STREAMED, moments: Moments | None = None) -> CallSeen:
    clock = itertools.count(100)

    async def scene() -> CallSeen:
        async with wire_server(play) as address:
            call = PlannedCall(plan, lambda: next(clock), moments, replica=3)
            return await call.make(address, Ask("POST", "/"))

    return asyncio.run(scene())


def test_a_whole_stream_is_counted_to_its_end() -> None:
    last = event_chunk(json.dumps({"choices": [], "usage": USAGE}))
    found = seen(answers(STREAM_HEAD, text(None), text(""), text(), text(), last, *END))
    assert (found.closing, found.status, found.request_id) == (Closing.DONE, 200, "req_1")
    assert (found.texts, found.told_nano, found.levels) == (2, 7, LEVELS)
    assert (found.began_us, found.ended_us, found.replica) == (100, 101, 3)
    assert found.events == 6
    assert found.complete
    assert found.broken == ""


def test_a_stream_without_usage_tells_no_cost() -> None:
    found = seen(answers(STREAM_HEAD, text(), *END))
    assert (found.told_nano, found.levels, found.complete) == (None, (), True)


def test_an_error_in_the_stream_is_its_end() -> None:
    found = seen(answers(STREAM_HEAD, text(), failure("engine_failed"), LAST_CHUNK))
    assert (found.closing, found.error_code, found.broken) == (Closing.ERROR, "engine_failed", "")
    assert not found.complete


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ((text(), LAST_CHUNK), "without a terminal event"),
        ((*END[:1], *END), "after the end"),
        ((failure("x"), *END), "after the end"),
        ((*END[:1], text(), LAST_CHUNK), "after the end"),
        ((text(),), "before the answer"),
        ((event_chunk("{half"), *END), "JSONDecodeError"),
        ((event_chunk('{"other": 1}'), *END), "KeyError"),
        ((chunk(b"data: ha"), LAST_CHUNK), "without a terminal event|inside an event"),
    ],
)
def test_a_stream_that_breaks_the_rules_is_told(raw: tuple[bytes, ...], says: str) -> None:
    found = seen(answers(STREAM_HEAD, *raw))
    assert found.closing is Closing.BROKEN
    assert any(part in found.broken for part in says.split("|"))


def test_a_whole_body_tells_its_cost() -> None:
    body = json.dumps({"choices": [], "usage": USAGE}).encode()
    found = seen(answers(body_answer(body, 200, ("x-request-id: req_5",))), WHOLE)
    assert (found.closing, found.told_nano, found.request_id) == (Closing.BODY, 7, "req_5")
    assert found.complete


def test_a_refusal_has_its_code() -> None:
    body = json.dumps({"error": {"code": "invalid_value"}}).encode()
    found = seen(answers(body_answer(body, 400)), WHOLE)
    assert (found.status, found.error_code, found.closing) == (400, "invalid_value", Closing.BODY)
    assert (found.error_type, found.retry_after_s, found.refusal) == (None, None, None)
    assert not found.complete


def out_of_money(**facts: Any) -> dict[str, Any]:
    amounts = {"limit_nano": 100, "spent_nano": 60, "held_nano": 30, "needed_nano": 20}
    error = {"code": "insufficient_quota", "type": "insufficient_quota", "limit_source": "project"}
    return {"error": {**error, **amounts, **facts}}


def test_a_refusal_for_money_is_read_with_its_numbers() -> None:
    raw = body_answer(json.dumps(out_of_money()).encode(), 429, ("retry-after: 7",))
    found = seen(answers(raw), WHOLE)
    assert found.refusal == RefusalSeen("project", 100, 60, 30, 20)
    assert (found.error_type, found.retry_after_s) == ("insufficient_quota", 7)
    assert found.broken == ""


@pytest.mark.parametrize(
    ("needed", "false", "final"),
    [(10, True, False), (11, False, False), (40, False, False), (41, False, True)],
)
def test_a_refusal_judges_itself(needed: int, false: bool, final: bool) -> None:
    refusal = RefusalSeen("key", 100, 60, 30, needed)
    assert (refusal.false, refusal.final) == (false, final)
    assert refusal.level == LevelSeen("key", "", 100, 60, 30)


@pytest.mark.parametrize("wait", ["soon", "", "-1"])
def test_a_wait_that_is_no_number_is_none(wait: str) -> None:
    raw = body_answer(json.dumps(out_of_money()).encode(), 429, (f"retry-after: {wait}",))
    assert seen(answers(raw), WHOLE).retry_after_s is None


def test_a_refusal_without_its_numbers_is_broken() -> None:
    document = out_of_money()
    del document["error"]["spent_nano"]
    found = seen(answers(body_answer(json.dumps(document).encode(), 429)), WHOLE)
    assert (found.status, found.closing, found.refusal) == (429, Closing.BROKEN, None)


@pytest.mark.parametrize("body", [b"<html>", b"7", b'{"error": "text"}', b'{"error": {"code": 7}}'])
def test_a_refusal_in_another_shape_is_broken(body: bytes) -> None:
    found = seen(answers(body_answer(body, 500)), WHOLE)
    assert (found.status, found.closing) == (500, Closing.BROKEN)


@pytest.mark.parametrize("abrupt", [True, False])
@pytest.mark.parametrize("after", [1, 3])
def test_a_cut_stream_stops_at_its_event(after: int, abrupt: bool) -> None:
    plan = replace(STREAMED, kind=CallKind.STREAM_CUT, cut_after_events=after, abrupt=abrupt)
    found = seen(answers(STREAM_HEAD, *[text()] * 10, *END), plan)
    assert (found.closing, found.texts, found.status) == (Closing.CUT, after, 200)
    assert found.events == after
    assert not found.complete


@pytest.mark.parametrize("abrupt", [True, False])
def test_a_stream_cut_at_its_terminal_event_is_complete(abrupt: bool) -> None:
    plan = replace(STREAMED, kind=CallKind.STREAM_CUT, cut_after_events=2, abrupt=abrupt)
    found = seen(answers(STREAM_HEAD, text(), *END), plan)
    assert (found.closing, found.events, found.complete) == (Closing.DONE, 2, True)


def test_a_stream_shorter_than_its_cut_is_complete() -> None:
    plan = replace(STREAMED, kind=CallKind.STREAM_CUT, cut_after_events=30)
    found = seen(answers(STREAM_HEAD, text(), *END), plan)
    assert (found.closing, found.complete) == (Closing.DONE, True)


@pytest.mark.parametrize("kind", [CallKind.STREAM_CUT, CallKind.WHOLE_CUT])
def test_a_cut_before_the_first_event_reads_nothing(kind: CallKind) -> None:
    found = seen(answers(), replace(STREAMED, kind=kind, pause_ms=1))
    assert (found.closing, found.status, found.texts) == (Closing.CUT, None, 0)


def test_nobody_listening_is_told() -> None:
    async def scene() -> CallSeen:
        async with wire_server(answers()) as address:
            pass
        return await PlannedCall(STREAMED, lambda: 0).make(address, Ask("POST", "/"))

    found = asyncio.run(scene())
    assert found.closing is Closing.BROKEN
    assert found.status is None


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "CALL_MAX_S", 0.05)

    async def play(_asked: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        await asyncio.Event().wait()

    found = seen(play)
    assert found.closing is Closing.BROKEN
    assert "no end" in found.broken


def test_the_trigger_fires_once_and_in_the_middle() -> None:
    fired: list[str] = []
    gate = asyncio.Event()

    async def play(_asked: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + text() * caller.TRIGGER_TEXTS)
        await gate.wait()
        writer.write(text() * 5 + b"".join(END))

    def trigger() -> None:
        fired.append("now")
        gate.set()

    assert seen(play, STREAMED, Moments(midway=trigger)).complete
    assert fired == ["now"]


@pytest.mark.parametrize("raw", [(), (STREAM_HEAD, text(), *END), (body_answer(b"{}", 200),)])
def test_the_trigger_fires_at_the_end_at_the_latest(raw: tuple[bytes, ...]) -> None:
    fired: list[str] = []
    seen(answers(*raw), STREAMED, Moments(midway=lambda: fired.append("now")))
    assert fired == ["now"]


@pytest.mark.parametrize("kind", [CallKind.STREAM_CUT, CallKind.WHOLE_CUT])
def test_a_blind_cut_waits_for_its_moment_and_says_when_it_hung_up(kind: CallKind) -> None:
    diary: list[str] = []

    async def sent() -> None:
        await asyncio.sleep(0)
        diary.append("sent")

    moments = Moments(sent=sent, cut=lambda: diary.append("cut"))
    found = seen(answers(), replace(STREAMED, kind=kind), moments)
    assert (found.closing, diary) == (Closing.CUT, ["sent", "cut"])


def test_a_cut_in_the_stream_says_when_it_hung_up() -> None:
    diary: list[str] = []
    plan = replace(STREAMED, kind=CallKind.STREAM_CUT, cut_after_events=2)
    seen(answers(STREAM_HEAD, text(), text()), plan, Moments(cut=lambda: diary.append("cut")))
    assert diary == ["cut"]


def test_an_address_knows_its_url() -> None:
    assert Address("127.0.0.1", 81).base_url == "http://127.0.0.1:81"
