"""A caller times one streamed answer; whatever goes wrong is told in its status."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chat_wire import (
    Answer,
    ChatWire,
    chat_wire,
    delta,
    in_turn,
    says,
    spoken,
    stream,
)
from tests.support.wire_server import LAST_CHUNK, STREAM_HEAD, body_answer, chunk, event_chunk
from tokenbooth.proving.certify.caller import (
    ANSWER_CHARACTERS_MAX,
    IDLE_MAX,
    Caller,
    Endpoint,
    Heard,
    now_us,
)
from tokenbooth.verify.packs.service import Family, Probe

T = TypeVar("T")
PROBE = Probe(0, Family.ARITHMETIC, "Compute 2 * 3 + 1.", "7", 64)
LONG_S = 30.0


def scene(
    answer: Answer, play: Callable[[Caller, ChatWire], Awaitable[T]], *, hangs_up: bool = False
) -> T:
    """``play`` with a caller of a server that answers so."""

    async def work() -> T:
        async with chat_wire(answer, hangs_up=hangs_up) as wire:
            caller = Caller(Endpoint(wire.base_url, "toy", "secret"))
            try:
                return await play(caller, wire)
            finally:
                await caller.close()

    return asyncio.run(work())


def heard(answer: Answer, within_s: float = LONG_S, *, hangs_up: bool = False) -> Heard:
    return scene(answer, lambda caller, _wire: caller.ask(PROBE, within_s), hangs_up=hangs_up)


def test_a_stream_is_heard_with_its_words_tokens_finish_and_name() -> None:
    begun_us = now_us()
    found = heard(
        says(
            STREAM_HEAD,
            delta(role="assistant"),
            delta(content="The answer "),
            delta(content="is 7", more={"system_fingerprint": "engine-1"}),
            delta("stop"),
            event_chunk('{"choices": [], "usage": {"completion_tokens": 5}}'),
            event_chunk("[DONE]"),
            LAST_CHUNK,
        )
    )
    assert (found.status, found.finish) == ("ok", "stop")
    assert found.answer == "The answer is 7"
    assert found.output_tokens == 5
    assert found.fingerprint == "engine-1"
    assert begun_us <= found.first_us <= found.end_us <= now_us()


def test_the_call_asks_for_a_stream_with_usage_and_without_chance() -> None:
    async def play(caller: Caller, wire: ChatWire) -> ChatWire:
        await caller.ask(Probe(1, Family.STOP, "Count.", "1 2", 96, stop=" 5"), LONG_S)
        await caller.ask(PROBE, LONG_S)
        return wire

    with_stop, without = scene(spoken("7"), play).asked
    assert with_stop.first == "POST /v1/chat/completions HTTP/1.1"
    assert with_stop.headers["authorization"] == "Bearer secret"
    assert with_stop.headers["host"].startswith("127.0.0.1:")
    assert with_stop.body == {
        "model": "toy",
        "messages": [{"role": "user", "content": "Count."}],
        "max_tokens": 96,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "stop": [" 5"],
    }
    assert "stop" not in without.body


def test_without_a_key_no_authorization_is_sent() -> None:
    async def work() -> dict[str, str]:
        async with chat_wire(spoken("7")) as wire:
            caller = Caller(Endpoint(wire.base_url + "/", "toy"))
            await caller.ask(PROBE, LONG_S)
            await caller.close()
            assert wire.asked[0].first.startswith("POST /v1/chat/completions ")
            return wire.asked[0].headers

    assert "authorization" not in asyncio.run(work())


def test_reasoning_is_timed_and_counted_but_is_no_answer() -> None:
    found = heard(says(stream(delta(reasoning_content="hm"), delta(content="7"), delta("stop"))))
    assert found.answer == "7"
    assert found.output_tokens == 2


def test_pieces_are_counted_only_where_no_usage_is_told() -> None:
    pieces = [delta(content="a"), delta(content=""), delta(content="b"), delta("length")]
    assert heard(says(stream(*pieces))).output_tokens == 2
    told = event_chunk('{"choices": [], "usage": {"completion_tokens": 0}}')
    assert heard(says(stream(*pieces, told))).output_tokens == 0


def test_an_empty_answer_has_one_moment_for_its_begin_and_its_end() -> None:
    found = heard(says(stream(delta("stop"))))
    assert (found.status, found.answer, found.output_tokens) == ("ok", "", 0)
    assert found.first_us == found.end_us > 0


def test_an_answer_is_kept_up_to_a_bound() -> None:
    found = heard(says(stream(*[delta(content="x" * 3_000)] * 5, delta("stop"))))
    assert found.status == "ok"
    assert found.answer == "x" * ANSWER_CHARACTERS_MAX


@given(
    words=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=5),
    cuts=st.lists(st.integers(1, 400), max_size=6),
)
@settings(max_examples=15)
def test_words_come_through_whole_wherever_the_wire_is_cut(
    words: list[str], cuts: list[int]
) -> None:
    """A chunk of HTTP and a write may end anywhere, inside of a character too."""
    events = "".join(
        f"data: {json.dumps({'choices': [{'delta': {'content': word}}]}, ensure_ascii=False)}\n\n"
        for word in words
    )
    raw = f"{events}data: [DONE]\n\n".encode()
    places = [0, *sorted(cut for cut in set(cuts) if cut < len(raw)), len(raw)]
    pieces = [chunk(raw[a:b]) for a, b in pairwise(places)]
    found = heard(says(STREAM_HEAD, *pieces, LAST_CHUNK))
    assert (found.status, found.answer) == ("ok", "".join(words))


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_refusal_is_told_by_its_number_and_its_connection_serves_on(status: int) -> None:
    refusal = says(body_answer(b'{"error": {"message": "no"}}', status, ("retry-after: 1",)))

    async def play(caller: Caller, wire: ChatWire) -> tuple[str, str, int]:
        one, two = [await caller.ask(PROBE, LONG_S) for _ in range(2)]
        assert one.answer == ""
        return one.status, two.status, wire.lines

    assert scene(in_turn(refusal, spoken("7")), play) == (f"status {status}", "ok", 1)


def test_a_refusal_in_chunks_is_read_to_its_end() -> None:
    raw = STREAM_HEAD.replace(b"200 OK", b"503 Busy") + chunk(b"later") + LAST_CHUNK

    async def play(caller: Caller, wire: ChatWire) -> tuple[list[str], int]:
        return [(await caller.ask(PROBE, LONG_S)).status for _ in range(2)], wire.lines

    assert scene(in_turn(says(raw), spoken("7")), play) == (["status 503", "ok"], 1)


def test_an_error_inside_a_stream_is_no_good_answer() -> None:
    failure = event_chunk('{"error": {"message": "the engine died"}}')
    found = heard(says(stream(delta(content="7"), failure)))
    assert found.status == "an error inside the stream"
    assert found.answer == "7"


def test_a_stream_that_just_ends_has_no_end() -> None:
    raw = b"".join((STREAM_HEAD, delta(content="7"), delta("stop"), LAST_CHUNK))
    assert heard(says(raw)).status == "no end"


def test_an_answer_that_is_no_stream_has_no_end() -> None:
    assert heard(says(body_answer(b'{"choices": []}'))).status == "no end"


CUT = {
    "before anything": b"",
    "inside the head": b"HTTP/1.1 200 OK\r\ncontent-",
    "after the head": STREAM_HEAD,
    "inside a chunk": STREAM_HEAD + b"ff\r\ndata: ",
    "inside a chunk size": STREAM_HEAD + delta(content="7") + b"1",
    "before the last chunk": STREAM_HEAD + delta(content="7") + event_chunk("[DONE]"),
    "inside a counted body": b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\ndata: x",
    "inside a refusal": b"HTTP/1.1 500 X\r\ncontent-length: 90\r\n\r\nno",
}


@pytest.mark.parametrize("where", CUT)
def test_a_cut_connection_is_broken_wherever_it_was_cut(where: str) -> None:
    assert heard(says(CUT[where]), hangs_up=True).status.startswith("broken: ")


BROKEN = {
    "no HTTP": b"SSH-2.0-OpenSSH_9\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a header without a name": b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
    "a head without an end": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000,
    "a size that is no number": STREAM_HEAD + b"zz\r\nhi\r\n",
    "a size below nothing": STREAM_HEAD + b"-5\r\nhi\r\n",
    "a size without an end": STREAM_HEAD + b"0" * 150_000,
    "a chunk that is too large": STREAM_HEAD + b"fffffffffff\r\nhi\r\n",
    "a length that is no number": b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
    "a length below nothing": b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n123456",
    "an event that is no JSON": STREAM_HEAD + event_chunk("{"),
    "choices that are no list": STREAM_HEAD + event_chunk('{"choices": 7}'),
    "tokens below nothing": STREAM_HEAD + event_chunk('{"usage": {"completion_tokens": -3}}'),
    "tokens beyond reason": STREAM_HEAD
    + event_chunk('{"usage": {"completion_tokens": 1000000000000000000}}'),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_answer_at_all_is_told_and_never_raised(what: str) -> None:
    """And the connection on which it came is never used again."""

    async def play(caller: Caller, wire: ChatWire) -> tuple[str, str, int]:
        one, two = [await caller.ask(PROBE, LONG_S) for _ in range(2)]
        return one.status.partition(":")[0], two.status, wire.lines

    assert scene(in_turn(says(BROKEN[what]), spoken("7")), play) == ("broken", "ok", 2)


def test_nobody_at_the_address_is_told_too() -> None:
    async def work() -> Heard:
        async with chat_wire(spoken("7")) as wire:
            base_url = wire.base_url
        return await Caller(Endpoint(base_url, "toy")).ask(PROBE, LONG_S)

    found = asyncio.run(work())
    assert found.status == "broken: ConnectionRefusedError"
    assert (found.first_us, found.end_us) == (-1, -1)


def test_an_answer_may_end_with_its_connection() -> None:
    """A server of HTTP/1.0 knows no other end."""
    events = b'data: {"choices": [{"delta": {"content": "7"}}]}\n\ndata: [DONE]\n\n'
    answer = says(b"HTTP/1.0 200 OK\r\nx: y\r\n\r\n", events)

    async def play(caller: Caller, wire: ChatWire) -> tuple[list[str], int]:
        return [(await caller.ask(PROBE, LONG_S)).status for _ in range(2)], wire.lines

    assert scene(answer, play, hangs_up=True) == (["ok", "ok"], 2)


async def forever(writer: asyncio.StreamWriter) -> None:
    """The first word, and then nothing."""
    writer.write(STREAM_HEAD + delta(content="7"))
    await writer.drain()
    await asyncio.Event().wait()


def test_what_takes_too_long_is_cut_and_keeps_what_it_said() -> None:
    found = heard(forever, within_s=0.05)
    assert (found.status, found.answer) == ("too late", "7")
    assert found.first_us > 0


def test_a_cancelled_call_takes_its_connection_with_it() -> None:
    async def play(caller: Caller, wire: ChatWire) -> tuple[str, int]:
        begun = asyncio.Event()
        first = wire.answer

        async def told(writer: asyncio.StreamWriter) -> None:
            writer.write(STREAM_HEAD + delta(content="7"))
            await writer.drain()
            begun.set()

        wire.answer = told
        task = asyncio.create_task(caller.ask(PROBE, LONG_S))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await wire.gone.wait()
        wire.answer = first
        return (await caller.ask(PROBE, LONG_S)).status, wire.lines

    assert scene(spoken("7"), play) == ("ok", 2)


def test_calls_in_a_row_share_one_connection_and_calls_at_once_do_not() -> None:
    async def play(caller: Caller, wire: ChatWire) -> tuple[int, int]:
        for _ in range(3):
            assert (await caller.ask(PROBE, LONG_S)).status == "ok"
        in_a_row = wire.lines
        together = await asyncio.gather(*(caller.ask(PROBE, LONG_S) for _ in range(4)))
        assert {each.status for each in together} == {"ok"}
        return in_a_row, wire.lines

    assert scene(spoken("7"), play) == (1, 4)


def test_a_server_that_wants_no_kept_connections_gets_none() -> None:
    raw = stream(delta("stop")).replace(b"\r\n", b"\r\nConnection: Close\r\n", 1)

    async def play(caller: Caller, wire: ChatWire) -> int:
        for _ in range(2):
            assert (await caller.ask(PROBE, LONG_S)).status == "ok"
        return wire.lines

    assert scene(says(raw), play) == 2


def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    async def play(caller: Caller, wire: ChatWire) -> list[str]:
        one = await caller.ask(PROBE, LONG_S)
        await wire.gone.wait()
        for _ in range(3):  # the end is heard in a later round of the loop
            await asyncio.sleep(0)
        return [one.status, (await caller.ask(PROBE, LONG_S)).status]

    assert scene(spoken("7"), play, hangs_up=True) == ["ok", "ok"]


def test_after_its_end_nothing_is_kept() -> None:
    async def play(caller: Caller, wire: ChatWire) -> int:
        await caller.ask(PROBE, LONG_S)
        await caller.close()
        await wire.gone.wait()
        await caller.ask(PROBE, LONG_S)
        return wire.lines

    assert scene(spoken("7"), play) == 2
    assert IDLE_MAX >= 256


@pytest.mark.parametrize(
    "base_url", ["", "ftp://x/v1", "localhost:80/v1", "http://", "http:///v1", "http://x:port/v1"]
)
def test_an_address_that_is_none_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - urlsplit has messages of its own
        Caller(Endpoint(base_url, "toy"))


@pytest.mark.parametrize("secret", ["two\r\nlines", "sk-ключ"])
def test_a_key_that_no_header_can_carry_is_refused_at_once(secret: str) -> None:
    with pytest.raises(ValueError, match="key"):
        Caller(Endpoint("http://127.0.0.1:1/v1", "toy", secret))
