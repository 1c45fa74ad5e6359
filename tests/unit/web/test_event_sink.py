"""The way back of a call on a WebSocket."""

from typing import Any

from tests.unit.web.test_response_socket import Listener, MemoryTalk
from tokenbooth.web.event_sink import EventSink

EVENT = b'event: a\ndata: {"type":"a"}\n\n'
FAILED = b'event: response.failed\ndata: {"type":"response.failed"}\n\n'


def sink_of(stream_id: str | None = None) -> tuple[EventSink, Any]:
    talk = MemoryTalk()
    return EventSink(talk, stream_id), talk


def test_events_go_out_one_by_one_and_the_first_has_the_headers():
    sink, talk = sink_of("s")
    sink.belongs("req_1")
    assert not sink.started
    sink.start(200, (("content-type", "text/event-stream"), ("x-a", "1")))
    sink.write(b": keep-alive\n\n")
    sink.write(EVENT + EVENT)
    sink.write(b"")
    sink.end()
    first = {"type": "a", "headers": {"x-request-id": "req_1", "x-a": "1"}, "stream_id": "s"}
    assert talk.said == [first, {"type": "a", "stream_id": "s"}]
    assert not sink.failed
    assert sink.answers("resp_1")
    assert not sink.answers("resp_2")


def test_a_refusal_is_one_error_whatever_its_pieces():
    sink, talk = sink_of()
    sink.start(429, (("content-type", "application/json"), ("retry-after", "3")))
    sink.write(b'{"error":{"code"')
    sink.write(b':"x"}}')
    assert talk.said == []
    sink.end()
    sink.end()
    error = {"code": "x", "headers": {"retry-after": "3"}}
    assert talk.said == [{"type": "error", "status": 429, "error": error}]
    assert sink.failed


def test_a_failure_inside_an_answer_is_noticed():
    sink, _ = sink_of()
    sink.start(200, ())
    sink.write(FAILED)
    assert sink.failed


def test_a_call_that_never_answered_says_nothing():
    sink, talk = sink_of()
    sink.end()
    assert talk.said == []
    assert not sink.answers(None)


def test_nothing_is_said_to_whom_is_gone_and_its_writer_hears_of_it():
    sink, talk = sink_of()
    early, late = Listener(), Listener()
    sink.listen(early)
    sink.start(429, ())
    sink.write(b'{"error":{"code":"x"}}')
    sink.gone()
    sink.listen(late)
    sink.write(EVENT)
    sink.end()
    sink.gone()
    assert (early.told, late.told, talk.said) == (["gone"], ["gone"], [])


def test_a_writer_that_begins_under_pressure_is_told_when_it_writes():
    sink, _ = sink_of()
    listener = Listener()
    sink.press(high=True)
    sink.listen(listener)
    assert listener.told == []
    sink.start(200, ())
    sink.write(EVENT)
    sink.write(EVENT)
    assert listener.told == [True]
    sink.press(high=False)
    sink.write(EVENT)
    assert listener.told == [True, False]
    sink.end()
    sink.press(high=True)
    assert listener.told == [True, False]
