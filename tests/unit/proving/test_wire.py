import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.proving import wire
from tokenbooth.proving.wire import BrokenWire, EventFold, head_of

STREAM = (
    b": keep-alive\n\ndata: one\n\nevent: x\ndata: two\ndata: lines\n\nid: 7\n\ndata:three\r\n\r\n"
)
EVENTS = ["one", "two\nlines", "three"]


def test_a_head_is_read_with_lower_case_names() -> None:
    head = head_of(b"HTTP/1.1 200 OK\r\nX-Request-Id: req_1\r\nContent-Length:  3 \r\n\r\n")
    assert head.status == 200
    assert head.headers == {"x-request-id": "req_1", "content-length": "3"}


def test_a_repeated_header_is_joined() -> None:
    head = head_of(b"HTTP/1.1 401 X\r\na: 1\r\nA: 2\r\n\r\n")
    assert head.headers == {"a": "1, 2"}


def test_a_status_line_needs_no_reason() -> None:
    assert head_of(b"HTTP/1.1 204\r\n\r\n").status == 204


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/2 200\r\n\r\n",
        b"hello\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: nameless\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
    ],
)
def test_what_is_no_head_is_refused(raw: bytes) -> None:
    with pytest.raises(BrokenWire):
        head_of(raw)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_events_do_not_depend_on_how_the_bytes_are_split(places: list[int]) -> None:
    cuts = [0, *sorted(places), len(STREAM)]
    fold = EventFold()
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(cuts)]
    assert [event for piece in pieces for event in fold.feed(piece)] == EVENTS
    assert not fold.inside


def test_an_unfinished_event_is_told() -> None:
    fold = EventFold()
    assert list(fold.feed(b"data: half")) == []
    assert fold.inside
    assert list(fold.feed(b"\n")) == []
    assert fold.inside
    assert list(fold.feed(b"\n")) == ["half"]
    assert not fold.inside


def test_an_event_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "EVENT_BYTES_MAX", 100)
    with pytest.raises(BrokenWire, match="larger"):
        list(EventFold().feed(b"data: " + b"x" * 200))


def test_broken_utf8_does_not_stop_the_reader() -> None:
    assert list(EventFold().feed(b"data: \xff\n\n")) == ["\ufffd"]
