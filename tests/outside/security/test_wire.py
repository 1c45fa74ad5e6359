"""Bytes that no honest client sends: every answer has an id, nothing hangs or is smuggled."""

import contextlib
import json

import pytest

from tests.support.attack import (
    account,
    body,
    connect,
    ended_record,
    get,
    open_files,
    open_holds,
    queued,
    raw_post,
    record_of,
    records,
    reset,
    spoken,
    until,
    until_closed,
    was_cut,
)

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
INNER = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
NOT_HTTP = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "proxy": b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
    "unknown verb": b"BREW / HTTP/1.1\r\nhost: x\r\n\r\n",
    "two lengths": HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "length and chunks": HEAD + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "strange chunks": HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n" + INNER,
    "chunks and more": HEAD + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n" + INNER,
    "blank before colon": HEAD + b"content-length : 3\r\n\r\nabc",
    "folded header": HEAD + b"x: a\r\n b\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nhost: x\n\n",
    "negative chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n",
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_not_http_is_named_once_and_has_an_id(sqlite_target, name):
    heard = spoken(sqlite_target.address, NOT_HTTP[name])
    head, _, raw = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    error = json.loads(raw)["error"]
    assert error["code"] == "malformed_http"
    assert f"x-request-id: {error['request_id']}".encode() in head
    assert heard.count(b"HTTP/1.1 ") == 1  # nothing was smuggled behind it


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nx: ", HEAD])
def test_a_head_without_end_is_cut_at_its_bound(sqlite_target, start):
    with connect(sqlite_target.address) as link, contextlib.suppress(ConnectionError):
        link.sendall(start)
        for _ in range(1000):
            link.sendall(b"x: " + b"a" * 10_000 + (b"\r\n" if start == HEAD else b""))
        raise AssertionError("ten megabytes of head were taken")


@pytest.mark.parametrize("start", [b"", b"GET /healthz HT", HEAD, b"\r\n"])
def test_a_head_that_does_not_come_is_not_waited_for(sqlite_target, start):
    heard = spoken(sqlite_target.address, start)
    assert not heard or b'"head_timeout"' in heard


def test_connections_are_bounded_and_come_back(sqlite_target):
    before = open_files(sqlite_target.instance)
    links = [connect(sqlite_target.address) for _ in range(720)]
    assert open_files(sqlite_target.instance) <= before + 740
    assert b'"engine_overloaded"' in spoken(sqlite_target.address, INNER)
    for link in links:
        link.close()
    until(lambda: open_files(sqlite_target.instance) <= before + 5)
    assert get(sqlite_target.address, "/healthz", sqlite_target.secret).status == 200


def test_pipelined_chats_are_answered_in_order_and_each_is_paid(sqlite_target):
    secret = sqlite_target.secret
    calls = [raw_post(secret, body("demo", max_tokens=count)) for count in range(1, 6)]
    last = raw_post(secret, body("demo", max_tokens=6), "connection: close")
    heard = spoken(sqlite_target.address, b"".join((*calls, last)))
    tokens = [int(x.split(b",")[0]) for x in heard.split(b'"completion_tokens":')[1:]]
    assert tokens == [1, 2, 3, 4, 5, 6]
    ids = [x.split(b"\r\n")[0].decode() for x in heard.split(b"x-request-id: ")[1:]]
    costs = [record_of(sqlite_target.address, secret, i)["cost"]["amount_nano"] for i in ids]
    assert costs == [8 * 1000 + count * 4000 for count in tokens]


def test_a_crowd_of_pipelined_calls_ends_its_connection(sqlite_target):
    heard = spoken(sqlite_target.address, INNER * 5000)
    assert heard.count(b"HTTP/1.1 200") < 100
    assert get(sqlite_target.address, "/healthz", sqlite_target.secret).status == 200


def test_garbage_inside_an_answer_ends_the_call_without_a_second_answer(sqlite_target):
    with connect(sqlite_target.address) as link:
        link.sendall(raw_post(sqlite_target.secret, body("slow", stream=True)))
        heard = link.recv(65536)
        link.sendall(b"\x00\x01garbage\r\n\r\n")
        heard += until_closed(link)
    assert heard.count(b"HTTP/1.1 ") == 1
    request_id = heard.split(b"x-request-id: ")[1].split(b"\r\n")[0].decode()
    record = ended_record(sqlite_target.address, sqlite_target.secret, request_id)
    assert record["status"] == "client_gone"


def test_an_upgrade_that_java_asks_for_loses_no_body(sqlite_target):
    asked = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
    with connect(sqlite_target.address) as link:
        link.sendall(raw_post(sqlite_target.secret, body("demo"), *asked))
        assert link.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("stream", [True, False])
def test_a_reader_that_takes_nothing_is_cut_off_and_pays_for_what_left(sqlite_target, stream):
    secret = account(sqlite_target.instance, f"stalls-{stream}")
    with connect(sqlite_target.address, buffer_bytes=4096) as link:
        link.sendall(raw_post(secret, body("flood", stream=stream)))
        until(lambda: records(sqlite_target.address, secret))
        until(lambda: was_cut(link))
    (listed,) = records(sqlite_target.address, secret)
    record = ended_record(sqlite_target.address, secret, listed["id"])
    assert record["status"] == ("client_gone" if stream else "completed")
    assert record["cost"]["amount_nano"] > 0


@pytest.mark.parametrize("cut_after", [1, 200, 400, 700, 1500, 4000])
def test_a_reset_at_any_byte_of_a_stream_leaves_no_hold(target, cut_after):
    link = connect(target.address)
    link.sendall(raw_post(target.secret, body("slow", stream=True)))
    heard = b""
    while len(heard) < cut_after:
        heard += link.recv(min(200, cut_after - len(heard)))
    reset(link)
    until(lambda: open_holds(target.instance) == 0)
    record = records(target.address, target.secret)[0]
    used = record["usage"]
    exact_nano = used["prompt_tokens"] * 1000 + used["completion_tokens"] * 4000
    assert record["status"] == "client_gone"
    assert record["cost"]["amount_nano"] in (exact_nano, 0)


def test_callers_that_hang_up_in_the_queue_make_room(sqlite_target):
    """The queue has one place: it is taken again and again by callers that do not stay."""
    secret = sqlite_target.secret
    runs = connect(sqlite_target.address)
    runs.sendall(raw_post(secret, body("queue", stream=True)))
    assert runs.recv(4096).startswith(b"HTTP/1.1 200")
    for _ in range(3):
        waits = connect(sqlite_target.address)
        waits.sendall(raw_post(secret, body("queue", stream=True)))
        until(lambda: queued(sqlite_target.address, secret) == 1)
        reset(waits)
        until(lambda: queued(sqlite_target.address, secret) == 0)
    runs.close()
