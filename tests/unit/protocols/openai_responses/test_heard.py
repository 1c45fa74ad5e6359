"""Messages and events of a WebSocket: what is read of the one, what is written of the other."""

import json

import pytest
from openai.types.responses import ResponsesServerEvent
from pydantic import TypeAdapter

from tests.support.responses import END, RECEIPT, events, stream_writer
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.openai_responses.heard import (
    Message,
    MessageDialect,
    error_event,
    event_end,
    events_of,
    is_failure,
    read_message,
    steer_refused,
)

EVENT: TypeAdapter[object] = TypeAdapter(ResponsesServerEvent)
HEADERS = (("a", "1"), ("b", "2"))


def message(**fields) -> Message:
    raw = {"type": "response.create", "model": "m", "input": "hi", **fields}
    return read_message(json.dumps(raw).encode())


def test_a_message_is_a_body_in_an_envelope():
    found = message(stream_id="a.B_1-", previous_response_id="resp_1")
    assert (found.type, found.stream_id) == ("response.create", "a.B_1-")
    assert found.fields == {"model": "m", "input": "hi", "previous_response_id": "resp_1"}
    assert found.previous_id == "resp_1"
    assert message(stream_id=None, previous_response_id=3).stream_id is None
    assert message(previous_response_id=3).previous_id is None


@pytest.mark.parametrize(
    ("raw", "code", "param"),
    [
        (b"[]", Code.MALFORMED_JSON, None),
        (b'{"type":"response.create","type":"x"}', Code.MALFORMED_JSON, "type"),
        (b"{}", Code.MISSING_FIELD, "type"),
        (b'{"type":null}', Code.MISSING_FIELD, "type"),
        (b'{"type":"response.cancel"}', Code.INVALID_VALUE, "type"),
        (b'{"type":["response.create"]}', Code.INVALID_VALUE, "type"),
        *(
            (b'{"type":"response.create","stream_id":' + said + b"}", Code.STREAM_ID_INVALID, None)
            for said in (b'""', b'"a b"', b'"%b"' % (b"x" * 257), b"7", b"[]", b'"\xc3\xa4"')
        ),
    ],
)
def test_what_is_no_message_is_refused_by_name(raw, code, param):
    with pytest.raises(Problem) as caught:
        read_message(raw)
    assert caught.value.code is code
    assert caught.value.param == (param or ("stream_id" if b"stream_id" in raw else None))


def test_the_body_is_read_as_over_http_and_always_streams():
    fields = {"instructions": "Be brief.", "unheard_of": 1, "store": False, "tools": []}
    over_http = OPENAI_RESPONSES.parse(
        json.dumps({"model": "m", "input": "hi", "stream": True, **fields}).encode()
    )
    assert MessageDialect(message(**fields)).parse(b"") == over_http
    assert MessageDialect(message(**fields, generate=False)).parse(b"") == over_http
    usual = message(**fields, stream=True, background=False)
    assert MessageDialect(usual).parse(b"") == over_http


def test_fields_of_the_transport_are_ignored_with_a_note():
    parsed = MessageDialect(message(stream=False, background=True)).parse(b"")
    assert parsed.stream
    assert parsed.memory is not None
    assert not parsed.memory.background
    assert [note.param for note in parsed.notes] == ["stream", "background"]
    assert MessageDialect(message(stream=None, background=None)).parse(b"").notes == ()


@pytest.mark.parametrize(
    ("fields", "generates"),
    [
        ({}, True),
        ({"generate": True}, True),
        ({"generate": None}, True),
        ({"generate": False}, False),
        ({"prompt_cache_options": {"prewarm": True}}, False),
        ({"prompt_cache_options": {"prewarm": True}, "generate": True}, False),
        ({"prompt_cache_options": {"prewarm": False}}, True),
        ({"prompt_cache_options": {}}, True),
    ],
)
def test_a_message_says_whether_output_is_wanted(fields, generates):
    assert message(**fields).generates is generates


def test_generate_is_a_boolean():
    with pytest.raises(Problem) as caught:
        _ = message(generate="no").generates
    assert (caught.value.code, caught.value.param) == (Code.WRONG_TYPE, "generate")


@pytest.mark.parametrize("stream_id", [None, "lane.1"])
def test_events_are_those_of_the_stream_with_the_name_of_theirs(stream_id):
    writer = stream_writer()
    chunks = [writer.delta(Delta(text="one\n\ndata: two", output_tokens=2)), writer.heartbeat()]
    chunks += [writer.closing(END, RECEIPT)]
    expected = events(b"".join(chunks))
    found = [
        json.loads(event) for chunk in chunks for event in events_of(chunk, event_end(stream_id))
    ]
    for event in found:
        EVENT.validate_python(event)
        assert event.pop("stream_id", None) == stream_id
    assert found == expected


def test_headers_go_with_the_first_event_alone():
    chunk = stream_writer().delta(Delta(text="one", output_tokens=1))
    first, *others = [json.loads(each) for each in events_of(chunk, event_end("s"), HEADERS)]
    assert first["headers"] == {"a": "1", "b": "2"}
    assert first["stream_id"] == "s"
    assert others
    assert not any("headers" in event for event in others)


def test_a_failed_response_is_known_by_its_event():
    writer = stream_writer()
    (*_, good) = events_of(stream_writer().closing(END, RECEIPT), b"}")
    (*_, bad) = events_of(writer.problem(Problem(Code.ENGINE_FAILED, "It broke.")), b"}")
    assert (is_failure(good), is_failure(bad)) == (False, True)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (Code.MODEL_NOT_FOUND, 404, "not_found_error"),
        (Code.PREVIOUS_RESPONSE_NOT_FOUND, 400, "invalid_request_error"),
        (Code.RATE_LIMITED, 429, "rate_limit_error"),
        (Code.SOCKET_LIMIT_REACHED, 400, "invalid_request_error"),
        (Code.STREAM_LIMIT_REACHED, 400, "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("stream_id", [None, "s"])
def test_an_error_is_an_event_of_the_published_form(code, status, kind, stream_id):
    answer = OPENAI_RESPONSES.refusal(Problem(code, "No.", param="p", retry_after_s=7), "req_1")
    event = json.loads(error_event(answer, stream_id))
    EVENT.validate_python(event)
    assert event["type"] == "error"
    assert event["status"] == status
    assert event.get("stream_id") == stream_id
    error = event["error"]
    assert (error["code"], error["type"], error["message"]) == (code.text, kind, "No.")
    assert (error["param"], error["request_id"]) == ("p", "req_1")
    assert error["headers"]["retry-after"] == "7"


def test_an_error_without_headers_has_none():
    answer = OPENAI_RESPONSES.refusal(Problem(Code.INVALID_VALUE, "No."), "req_1")
    assert "headers" not in json.loads(error_event(answer, None))["error"]


def test_steering_is_refused_in_the_published_form():
    raw = {"type": "response.steer", "previous_response_id": "resp_1", "input": "left!"}
    event = json.loads(steer_refused(read_message(json.dumps(raw).encode()), "s"))
    EVENT.validate_python(event)
    assert event["type"] == "response.steer.failed"
    assert event["error"]["code"] == "steering_not_supported"
    assert event["steer"] == {"previous_response_id": "resp_1", "input": "left!"}
    assert event["stream_id"] == "s"
