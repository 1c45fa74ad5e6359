"""What a bad input gets: a named 4xx in the caller's dialect, nothing charged, no trace, no 5xx."""

import asyncio
import json
import socket
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.outside.api.conftest import Running
from tests.support.instances import in_booth
from tokenbooth.money.ledger import service as ledger
from tokenbooth.protocols.openai_chat.parameters import PARAMETERS
from tokenbooth.proving.client import Ask, WholeAnswer, bearer, call

CHAT = "/v1/chat/completions"
GOOD = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}


def post(running: Running, raw: bytes, path: str = CHAT, secret: str | None = None) -> WholeAnswer:
    headers = bearer(running.secret if secret is None else secret)
    return asyncio.run(call(running.address, Ask("POST", path, headers, raw)))


def get(running: Running, path: str, secret: str | None = None) -> WholeAnswer:
    headers = bearer(running.secret if secret is None else secret)
    return asyncio.run(call(running.address, Ask("GET", path, headers)))


def spent_nano(running: Running) -> int:
    return int(get(running, "/v1/balance").document()["limits"][0]["spent"]["amount_nano"])


def assert_named_refusal(answer: WholeAnswer, statuses: range = range(400, 500)) -> dict[str, Any]:
    assert answer.status in statuses, answer.body[:500]
    error = answer.document()["error"]
    assert error["code"]
    assert error["message"]
    assert error["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in error["message"]
    return error


def changed(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


BAD_BODIES = {
    "empty": b"",
    "not json": b"hello",
    "half": b'{"model": "demo", "messages": [',
    "a list": b"[]",
    "null": b"null",
    "a number": b"7",
    "trailing": json.dumps(GOOD).encode() + b"x",
    "invalid utf-8": b'{"model": "\xff\xfe"}',
    "bom and nothing": b"\xef\xbb\xbf",
    "duplicate key": b'{"model":"demo","model":"slow","messages":[]}',
    "NaN": b'{"model":"demo","temperature":NaN,"messages":[]}',
    "NUL byte": b'{"model":"demo\x00","messages":[]}',
    "escaped NUL": b'{"model":"de\\u0000mo","messages":[{"role":"user","content":"x"}]}',
    "lone surrogate": b'{"model":"demo","messages":[{"role":"user","content":"\\ud800"}]}',
    "deep nesting": b'{"model":"demo","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "huge number": b'{"model":"demo","max_tokens":' + b"9" * 5000 + b',"messages":[]}',
    "no model": changed(model=None),
    "empty model": changed(model=""),
    "model of a megabyte": changed(model="m" * 1_000_000),
    "model as object": changed(model={"a": 1}),
    "empty messages": changed(messages=[]),
    "messages as text": changed(messages="hello"),
    "message as text": changed(messages=["hello"]),
    "unknown role": changed(messages=[{"role": "king", "content": "x"}]),
    "no content": changed(messages=[{"role": "user"}]),
    "content as number": changed(messages=[{"role": "user", "content": 7}]),
    "unknown part": changed(messages=[{"role": "user", "content": [{"type": "smell"}]}]),
    "too many messages": changed(messages=[{"role": "user", "content": "x"}] * 10_000),
    "temperature as text": changed(temperature="hot"),
    "temperature too high": changed(temperature=3),
    "negative limit": changed(max_tokens=-1),
    "zero limit": changed(max_completion_tokens=0),
    "absurd limit": changed(max_completion_tokens=10**15),
    "fractional limit": changed(max_completion_tokens=1.5),
    "limit as true": changed(max_completion_tokens=True),
    "n of a million": changed(n=1_000_000),
    "n of zero": changed(n=0),
    "five stops": changed(stop=["a", "b", "c", "d", "e"]),
    "stop as number": changed(stop=5),
    "seed too large": changed(seed=2**70),
    "logprobs too many": changed(logprobs=True, top_logprobs=21),
    "unknown format": changed(response_format={"type": "yaml"}),
    "schema missing": changed(response_format={"type": "json_schema"}),
    "stream as text": changed(stream="yes"),
    "tools as object": changed(tools={}),
    "tool without name": changed(tools=[{"type": "function", "function": {}}]),
    "choice of an unknown tool": changed(
        tool_choice={"type": "function", "function": {"name": "none"}}
    ),
    "too long a prompt": changed(messages=[{"role": "user", "content": "word " * 200_000}]),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_refused_by_name_and_costs_nothing(running, name):
    before = spent_nano(running)
    assert_named_refusal(post(running, BAD_BODIES[name]))
    assert spent_nano(running) == before


def test_a_too_long_prompt_is_told_both_numbers(running):
    error = assert_named_refusal(post(running, BAD_BODIES["too long a prompt"]))
    assert error["code"] == "context_length_exceeded"
    assert error["input_tokens"] > error["context_tokens"] == 8192


def test_an_over_size_body_is_refused_before_it_is_read(running):
    error = assert_named_refusal(post(running, b"x" * (5 * 1024 * 1024)), range(413, 414))
    assert error["body_bytes_max"] == 4 * 1024 * 1024


BAD_QUERIES = [
    "/v1/requests?limit=0",
    "/v1/requests?limit=101",
    "/v1/requests?limit=ten",
    "/v1/requests?limit=1e2",
    "/v1/requests?limit=%00",
    "/v1/requests?after=%27%20OR%201=1",
    "/v1/requests?after=%00",
    "/v1/requests?colour=red",
    "/v1/usage?since=yesterday",
    "/v1/usage?since=2026-02-30",
    "/v1/usage?since=2026-01-02&until=2026-01-01",
    "/v1/usage?since=0001-01-01&until=9999-12-31",
    "/v1/balance?x=1",
    "/v1/requests/req_%00",
    "/v1/requests/" + "r" * 5000,
    "/v1/requests/..%2F..%2Fetc",
    "/v1/requests/%25",
    "/v1/models/%00",
    "/v1/models/" + "m" * 5000,
]


@pytest.mark.parametrize("path", BAD_QUERIES)
def test_a_bad_query_is_refused_by_name(running, path):
    assert_named_refusal(get(running, path))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        " ",
        "sk-other",
        "tb_live_",
        "tb_live_" + "0" * 46,
        "tb_live_" + "é" * 46,
        "tb_live_" + "x" * 5000,
        "' OR 1=1 --",
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/balance"])
def test_a_bad_key_is_unauthenticated_everywhere(running, path, secret):
    method = "POST" if path == CHAT else "GET"
    headers = (("authorization", f"Bearer {secret}"),)
    body = json.dumps(GOOD).encode() if method == "POST" else b""
    answer = asyncio.run(call(running.address, Ask(method, path, headers, body)))
    assert_named_refusal(answer, range(401, 402))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", CHAT, 405),
        ("DELETE", "/v1/models", 405),
        ("PATCH", "/v1/requests/req_1", 405),
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("POST", "/v1/chat/completions/", 404),
        ("GET", "/%2e%2e/etc/passwd", 404),
        ("GET", "//v1/models", 404),
        ("OPTIONS", CHAT, 405),
        ("GET", "/v1/models/a/b/c", 404),
    ],
)
def test_unknown_paths_and_methods_answer_like_everything_else(running, method, path, status):
    answer = asyncio.run(call(running.address, Ask(method, path, bearer(running.secret))))
    assert_named_refusal(answer, range(status, status + 1))
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"GARBAGE\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_what_is_not_http_is_turned_away_and_serving_goes_on(running, raw):
    with socket.create_connection((running.address.host, running.address.port), 10) as peer:
        peer.sendall(raw)
        peer.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))
    assert get(running, "/healthz").status == 200


def test_a_malformed_host_changes_nothing_about_permission(running):
    """The route, not the address in the host header, decides what a call may do."""
    for host in ("", "[", "a b", "evil/v1/models?", "x" * 3000):
        headers = (("host", host),)
        answer = asyncio.run(call(running.address, Ask("GET", "/v1/balance", headers)))
        assert answer.status in (400, 401)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from([parameter.name for parameter in PARAMETERS])
FUZZ = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def assert_sane(answer: WholeAnswer) -> None:
    """A success, or a refusal by name; the engine here never fails, so a 5xx is a fault of ours."""
    if answer.status != 200:
        assert_named_refusal(answer)
    assert answer.headers["x-request-id"]


@FUZZ
@given(changes=st.dictionaries(FIELDS, VALUES, min_size=1, max_size=4))
def test_any_value_in_any_field_is_answered_or_refused_by_name(running, changes):
    assert_sane(post(running, json.dumps({**GOOD, "max_tokens": 3, **changes}).encode()))


@FUZZ
@given(
    message=st.dictionaries(
        st.sampled_from(
            ["role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio"]
        ),
        VALUES,
        max_size=5,
    )
)
def test_any_message_is_answered_or_refused_by_name(running, message):
    messages = [GOOD["messages"][0], message]
    assert_sane(post(running, json.dumps({**GOOD, "max_tokens": 3, "messages": messages}).encode()))


@FUZZ
@given(place=st.integers(0, 10**6), noise=st.binary(min_size=1, max_size=4), drop=st.integers(0, 3))
def test_a_body_broken_anywhere_is_answered_or_refused_by_name(running, place, noise, drop):
    raw = json.dumps({**GOOD, "max_tokens": 3, "stop": ["x"], "logit_bias": {"5": 1}}).encode()
    at = place % len(raw)
    assert_sane(post(running, raw[:at] + noise + raw[at + drop :]))


@FUZZ
@given(path=st.text(max_size=30), query=st.text(max_size=30))
def test_any_path_is_answered_or_refused_by_name(running, path, query):
    assert_sane(get(running, f"/{quote(path)}?{quote(query, safe='=&')}"))


def test_nothing_of_all_this_broke_the_ledger(running):
    found = in_booth(running.instance, lambda booth, op, tx: ledger.verify(op, tx))
    assert (found.difference_nano, found.problems) == (0, ())
