import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

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
from tokenbooth.proving import client
from tokenbooth.proving.client import Address, Ask, Exchange, WholeAnswer, call, json_ask
from tokenbooth.proving.wire import BrokenWire

T = TypeVar("T")


def against(play: Play, work: Callable[[Address], Awaitable[T]]) -> T:
    async def scene() -> T:
        async with wire_server(play) as address:
            return await work(address)

    return asyncio.run(scene())


def get(play: Play) -> WholeAnswer:
    return against(play, lambda address: call(address, Ask("GET", "/x"), within_s=5))


def events(play: Play) -> list[str]:
    async def work(address: Address) -> list[str]:
        async with Exchange(address, Ask("GET", "/x")) as exchange:
            return [event async for event in exchange.events()]

    return against(play, work)


def test_an_ask_is_written_with_its_length_and_its_key() -> None:
    ask = json_ask("/v1/x", "tb_live_k", {"a": 1})
    raw = ask.encoded(Address("127.0.0.1", 81))
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1:81\r\n")
    assert b"authorization: Bearer tb_live_k" in head
    assert b"content-length: 8" in head
    assert body == b'{"a": 1}'


def test_an_ask_can_announce_more_than_it_sends() -> None:
    raw = Ask("POST", "/", body=b"{", announced_bytes=99).encoded(Address("h", 1))
    assert b"content-length: 99\r\n" in raw
    assert raw.endswith(b"\r\n\r\n{")


def test_a_body_with_a_length_is_read_whole() -> None:
    answer = get(answers(body_answer(b'{"ok": true}', 200, ("x-request-id: req_9",))))
    assert answer.document() == {"ok": True}
    assert answer.headers["x-request-id"] == "req_9"


def test_an_answer_in_many_pieces_is_one_answer() -> None:
    raw = body_answer(b'{"ok": true}')
    assert get(answers(*(raw[i : i + 1] for i in range(len(raw))))).document() == {"ok": True}


def test_a_chunked_body_is_put_together() -> None:
    raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    raw += chunk(b"hello ") + b"5;ext=1\r\nworld\r\n" + LAST_CHUNK
    assert get(answers(raw)).body == b"hello world"


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    assert get(answers(b"HTTP/1.1 200 OK\r\n\r\nhello")).body == b"hello"


def test_an_interim_answer_is_skipped() -> None:
    raw = b"HTTP/1.1 100 Continue\r\n\r\n" + body_answer(b"{}", 201)
    assert get(answers(raw)).status == 201


def test_the_answer_to_head_has_no_body() -> None:
    raw = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
    answer = against(answers(raw), lambda a: call(a, Ask("HEAD", "/"), within_s=5))
    assert answer == WholeAnswer(200, {"content-length": "10"}, b"")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "before the answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "before the answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", "inside the answer"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
            "inside the answer",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            "chunk size",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhello\r\n",
            "longer than it says",
        ),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", "larger"),
    ],
)
def test_a_broken_answer_is_named(raw: bytes, says: str) -> None:
    with pytest.raises(BrokenWire, match=says):
        get(answers(raw))


def test_an_endless_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BODY_BYTES_MAX", 1000)
    with pytest.raises(BrokenWire, match="larger"):
        get(answers(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000))


@pytest.mark.parametrize("body", [b"[1]", b"nonsense", b""])
def test_a_document_must_be_an_object(body: bytes) -> None:
    with pytest.raises(BrokenWire, match="not"):
        WholeAnswer(200, {}, body).document()


def test_events_come_one_by_one() -> None:
    raw = (STREAM_HEAD, event_chunk("one"), chunk(b": beat\n\n"), event_chunk("two"), LAST_CHUNK)
    assert events(answers(*raw)) == ["one", "two"]


def test_a_stream_that_ends_inside_an_event_is_broken() -> None:
    with pytest.raises(BrokenWire, match="inside an event"):
        events(answers(STREAM_HEAD, chunk(b"data: ha"), LAST_CHUNK))


@pytest.mark.parametrize("abrupt", [True, False])
def test_a_cut_is_seen_by_the_server(abrupt: bool) -> None:
    async def scene() -> bool:
        gone = asyncio.Event()

        async def play(_asked: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(STREAM_HEAD + event_chunk("one"))
            try:
                while not writer.is_closing():
                    writer.write(event_chunk("more"))
                    await writer.drain()
                    await asyncio.sleep(0)
            except ConnectionError:
                pass
            gone.set()

        async with wire_server(play) as address:
            async with Exchange(address, Ask("GET", "/x")) as exchange:
                async for _event in exchange.events():
                    exchange.cut(abrupt=abrupt)
                    break
            async with asyncio.timeout(5):
                return await gone.wait()

    assert asyncio.run(scene())


def test_a_caller_that_gives_up_hangs_up() -> None:
    async def scene() -> bytes:
        heard, left = asyncio.Event(), asyncio.Event()

        async def play(_asked: bytes, writer: asyncio.StreamWriter) -> None:
            heard.set()
            await left.wait()
            writer.write(b"too late" * 100_000)

        async with wire_server(play) as address:
            calling = asyncio.create_task(call(address, Ask("GET", "/x")))
            await heard.wait()
            calling.cancel()
            (given_up,) = await asyncio.gather(calling, return_exceptions=True)
            left.set()
            return type(given_up).__name__.encode()

    assert asyncio.run(scene()) == b"CancelledError"


def test_nobody_listening_is_an_os_error() -> None:
    async def scene() -> None:
        async with wire_server(answers()) as address:
            pass
        await call(address, Ask("GET", "/x"))

    with pytest.raises(OSError, match=r"[Cc]onnect"):
        asyncio.run(scene())


def test_an_early_answer_to_an_unread_body_is_read() -> None:
    ask = Ask("POST", "/", body=b"{", announced_bytes=2**40)
    played = answers(body_answer(b'{"error": {}}', 413))
    assert against(played, lambda a: call(a, ask, within_s=5)).status == 413


def test_a_client_can_wait_between_the_connection_and_the_call() -> None:
    diary: list[str] = []

    async def connected() -> None:
        await asyncio.sleep(0)
        diary.append("connected")

    async def scene() -> int:
        async with (
            wire_server(answers(body_answer(b"{}"))) as address,
            Exchange(address, Ask("GET", "/"), connected) as exchange,
        ):
            diary.append("sent")
            return (await exchange.head()).status

    assert asyncio.run(scene()) == 200
    assert diary == ["connected", "sent"]


def test_a_wait_that_fails_leaves_no_connection_behind() -> None:
    async def connected() -> None:
        raise ZeroDivisionError

    async def scene() -> None:
        async with (
            wire_server(answers(body_answer(b"{}"))) as address,
            Exchange(address, Ask("GET", "/"), connected),
        ):
            raise AssertionError("the call was sent all the same")

    with pytest.raises(ZeroDivisionError):
        asyncio.run(scene())
