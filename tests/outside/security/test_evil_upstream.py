"""An upstream that lies, breaks off, floods or attacks: the call ends, by name, and money is right.

Whatever the upstream does is never a fault of the caller nor of ours: 502 or 503, or an answer.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.attack import account, body, chat, elsewhere, open_holds, record_of
from tests.support.instances import in_booth
from tokenbooth.catalog.models import service as catalog
from tokenbooth.control import models, prices
from tokenbooth.money.prices.service import PriceAsk

KEY = "sk-upstream-0123456789"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def event(data: Any) -> bytes:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return b"data: " + raw + b"\n\n"


def said(text: str = "hi ", finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return event({"choices": [choice], **more})


def usage(prompt: object = 5, completion: object = 3) -> bytes:
    told = {"prompt_tokens": prompt, "completion_tokens": completion}
    return event({"choices": [], "usage": told})


def refused(status: int, message: str = "no", *headers: str, **fields: Any) -> bytes:
    raw = json.dumps({"error": {"message": message, **fields}}).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(raw)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


ENDING = said("x", "stop") + usage() + DONE
# Name: what the upstream sends. The call must succeed.
ANSWERED = {
    "plain": HEAD + said() + ENDING,
    "fingerprint with NUL": HEAD + said(system_fingerprint="a\0b") + ENDING,
    "fingerprint of a megabyte": HEAD + said(system_fingerprint="f" * 2**20) + ENDING,
    "text with NUL": HEAD + said("a\0b") + ENDING,
    "model with line breaks": HEAD + said(model="a\r\nset-cookie: b") + ENDING,
    "negative usage": HEAD + said() + said("x", "stop") + usage(-5, -3) + DONE,
    "huge usage": HEAD + said() + said("x", "stop") + usage(10**12, 10**12) + DONE,
    "usage beyond 64 bits": HEAD + said() + said("x", "stop") + usage(10**30, 10**30) + DONE,
    "usage in fractions": HEAD + said() + said("x", "stop") + usage(5.5, 2.5) + DONE,
    "usage as flags": HEAD + said() + said("x", "stop") + usage(True, True) + DONE,
    "no usage": HEAD + said() + said("x", "stop") + DONE,
    "usage again and again": HEAD + said() + usage(1, 1) * 500 + ENDING,
    "two ends": HEAD + said() + ENDING + DONE + said("after") + usage(10**9, 10**9),
    "an unknown finish": HEAD + said("x", "wat\r\n") + usage() + DONE,
    "four megabytes in one piece": HEAD + said("b" * 3_900_000) + ENDING,
    "more than was allowed": HEAD + said("t") * 200 + said("x", "stop") + usage(5, 201) + DONE,
    "closed after the finish": HEAD + said("x", "stop"),
    "a flood of interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 2000 + HEAD + said() + ENDING,
}
# Name: what the upstream sends. The call must fail by name and cost nothing.
FAILED = {
    "nothing": b"",
    "no http": b"\x00\x01\x02hello\r\n\r\n",
    "half an answer": HEAD + said(),
    "invalid utf-8": HEAD
    + b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n'
    + DONE,
    "half a surrogate": HEAD + event(b'{"choices":[{"delta":{"content":"\\ud83d"}}]}') + ENDING,
    "no json": HEAD + event(b"{not json") + DONE,
    "a line without end": HEAD + b"data: " + b"a" * 5_000_000,
    "a redirect": refused(302, "there", "location: http://169.254.169.254/"),
    "busy for ever": refused(429, "busy", "retry-after: 99999999999999999999"),
    "busy for less than no time": refused(503, "busy", "retry-after: -7"),
    "its key refused": refused(401, f"bad key {KEY}"),
    "a page of html": b"HTTP/1.1 500 X\r\ncontent-length: 4\r\n\r\n<h1>",
    "another protocol": b"HTTP/1.1 101 X\r\nupgrade: foo\r\nconnection: upgrade\r\n\r\nzzz",
    "a head without end": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000,
    "json instead": refused(200, "fine", "content-type: application/json"),
    "packed": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
    "no content": b"HTTP/1.1 204 X\r\n\r\n",
    "a foreign choice": HEAD + event({"choices": [{"index": 7, "delta": {"content": "a"}}]}) + DONE,
    "a negative choice": HEAD + event({"choices": [{"index": -1, "delta": {"content": "a"}}]}),
    "no choice at all": HEAD + event({"choices": []}) * 50 + DONE,
    "a crowd of tool calls": HEAD
    + event({"choices": [{"delta": {"tool_calls": [{"index": 500, "function": {"name": "f"}}]}}]}),
    "an answer given up": HEAD + said("x") + said("", "abort") + usage() + DONE,
    "an error inside": HEAD + said() + event({"error": {"message": f"boom {KEY}"}}),
    "an error that is no object": HEAD + said() + event({"error": "x"}),
    "an error out of range": HEAD + said() + event(b'{"error":{"code":1e400}}'),
    "an error without bottom": HEAD + event(b'{"error":' + b"[" * 5000 + b"]" * 5000 + b"}"),
}
TURN_REFUSED = refused(400, f"evil\r\nset-cookie: a=b\r\n {KEY}", param="a\r\nb")


@dataclass
class Evil:
    """Plays ``raw`` to every call; ``asked`` counts them."""

    raw: bytes = b""
    asked: int = 0
    port: int = 0
    secrets: dict[int, str] = field(default_factory=dict)

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked += head.startswith(b"POST")  # now and then its health is asked for
            writer.write(self.raw)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture(scope="session")
def evil() -> Iterator[Evil]:
    server = Evil()
    with elsewhere() as loop:
        listening = loop.run(asyncio.start_server(server.hear, "127.0.0.1", 0))
        server.port = listening.sockets[0].getsockname()[1]
        yield server
        loop.run(_closed(listening))


async def _closed(listening: asyncio.Server) -> None:
    listening.close()


@pytest.fixture
def secret(target, evil) -> str:
    """A key for the model ``evil``, made once for each instance."""

    def offer(booth, op, tx):
        seal = models.Seal(booth.secrets.sealing_key, booth.randomness)
        url = f"http://127.0.0.1:{evil.port}/v1"
        ask = catalog.ModelAsk(
            name="evil",
            deployments=(models.upstream_deployment(url, None, KEY, seal),),
            context_tokens=8192,
            output_tokens_max=2048,
        )
        catalog.add_model(op, tx, ask, booth.ids)
        price = PriceAsk("evil", 10**6, 4 * 10**6)
        prices.price_model(op, tx, price, booth.ids, confirmed=True)

    if id(target.instance) not in evil.secrets:
        in_booth(target.instance, offer)
        evil.secrets[id(target.instance)] = account(target.instance, "evil")
    return evil.secrets[id(target.instance)]


def asked(target, secret: str, *, stream: bool):
    answer = chat(target.address, secret, body("evil", stream=stream, max_tokens=100))
    shown = repr((answer.headers, answer.body))
    assert KEY not in shown
    assert "set-cookie" not in answer.headers
    return answer, record_of(target.address, secret, answer.headers["x-request-id"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ANSWERED)
def test_an_answer_with_lies_in_it_is_charged_within_the_hold(target, evil, secret, name, stream):
    evil.raw = ANSWERED[name]
    answer, record = asked(target, secret, stream=stream)
    assert answer.status == 200
    assert record["status"] == "completed"
    assert 0 < record["cost"]["amount_nano"] <= record["held"]["amount_nano"]
    fingerprint = record["system_fingerprint"]
    assert fingerprint is None or fingerprint.isprintable()
    if stream:
        assert answer.body.count(b"data: [DONE]") == 1
        assert answer.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", FAILED)
def test_a_broken_answer_is_the_upstreams_fault_and_costs_nothing(
    target, evil, secret, name, stream
):
    evil.raw, before = FAILED[name], evil.asked
    answer, record = asked(target, secret, stream=stream)
    assert evil.asked == before + 1  # and followed nowhere else
    assert record["status"] == "engine_failed"
    assert record["cost"]["amount_nano"] == 0
    if answer.status == 200:
        last = answer.body.rstrip().rpartition(b"data: ")[2]
        assert json.loads(last)["error"]["request_id"] == answer.headers["x-request-id"]
    else:
        assert answer.status in (502, 503)
        assert answer.document()["error"]["code"]
    if "retry-after" in answer.headers:
        assert 1 <= int(answer.headers["retry-after"]) <= 3600


@pytest.mark.parametrize("stream", [False, True])
def test_words_about_the_turn_are_passed_on_clean(target, evil, secret, stream):
    evil.raw = TURN_REFUSED
    answer, record = asked(target, secret, stream=stream)
    assert answer.status == 400
    message = answer.document()["error"]["message"]
    assert message.isprintable()
    assert record["status"] == "refused"
    assert record["cost"]["amount_nano"] == 0


def test_nothing_is_held_and_no_fault_escaped(target, evil, secret):
    assert open_holds(target.instance) == 0
    log = target.instance.log_path.read_text()
    assert "Fatal error" not in log
    assert "call_broke" not in log
    assert KEY not in log
