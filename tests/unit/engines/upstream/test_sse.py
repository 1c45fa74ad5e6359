"""The fold of server-sent events."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.engines.upstream.sse import EventTooLarge, SseEvent, SseFold

BOUND = 10_000


def folded(*chunks: bytes, bound: int = BOUND) -> list[SseEvent]:
    fold = SseFold(bound)
    return [event for chunk in chunks for event in fold.feed(chunk)]


def data(*chunks: bytes) -> list[bytes]:
    return [event.data for event in folded(*chunks)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_each_line_end_ends_a_line(end: bytes) -> None:
    assert data(b"data: one" + end + b"data: two" + end + end) == [b"one\ntwo"]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a \n\n", [b" a "]),
        (b"data\n\n", [b""]),
        (b"data:\n\n", [b""]),
        (b"data\ndata\n\n", [b"\n"]),
        (b"data: a\ndata\ndata: b\n\n", [b"a\n\nb"]),
        (b": a comment\n\ndata: a\n\n", [b"a"]),
        (b"data: a\n: between\ndata: b\n\n", [b"a\nb"]),
        (b":\n\n:\n\n", []),
        (b"\n\n\n", []),
        (b"id: 5\nretry: 10\ndata: a\n\n", [b"a"]),
        (b"other: x\n\n", []),
        (b"event: only\n\n", []),
        (b"data: unfinished\n", []),
        (b"data: a\n\ndata: b", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
        (b"data: x: y\n\n", [b"x: y"]),
        (b"Data: a\n\n", []),
        (b" data: a\n\n", []),
        (b"data: \xf0\x9f\x99\x82\xe2\x80\xa8z\n\n", ["🙂\u2028z".encode()]),
        (b"data: a\x0bb\x0cc\x85d\n\n", [b"a\x0bb\x0cc\x85d"]),
    ],
)
def test_the_grammar(stream: bytes, expected: list[bytes]) -> None:
    assert data(stream) == expected


def test_an_event_has_the_name_that_its_last_event_line_gives() -> None:
    events = folded(b"event: a\nevent: error\ndata: x\n\ndata: y\n\n")
    assert [(event.name, event.data) for event in events] == [("error", b"x"), ("", b"y")]


def test_a_name_does_not_leak_into_the_next_event() -> None:
    assert folded(b"event: gone\n\ndata: x\n\n") == [SseEvent("", b"x")]


STREAM = (
    b'\xef\xbb\xbf: hello\r\n\r\nevent: error\r\ndata: {"a": 1}\r\n\r\n'
    b"data: one\ndata: two\n\ndata: three\rdata: four\r\rdata: [DONE]\n\n"
)


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_a_cut_at_any_byte_changes_nothing(cut: int) -> None:
    whole = folded(STREAM)
    assert [event.data for event in whole] == [b'{"a": 1}', b"one\ntwo", b"three\nfour", b"[DONE]"]
    assert folded(STREAM[:cut], STREAM[cut:]) == whole


def test_byte_by_byte() -> None:
    assert folded(*(bytes([byte]) for byte in STREAM)) == folded(STREAM)


pieces = st.sampled_from(
    [b"data:", b"data: x", b"\n", b"\r", b"\r\n", b"event: e", b": c", b"y", b" ", b"\n\n", b"id"]
)


@given(st.lists(pieces, max_size=30), st.lists(st.integers(0, 200), max_size=6))
def test_cuts_never_matter(some: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(some)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    parts = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert folded(*parts) == folded(stream)


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(noise: bytes) -> None:
    for event in folded(noise):
        assert b"\r" not in event.data


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")), min_size=1))
def test_what_is_written_is_read(lines: list[str]) -> None:
    stream = "".join(f"data: {line}\n" for line in lines) + "\n"
    assert data(stream.encode()) == ["\n".join(lines).encode()]


def test_an_event_over_the_bound_is_refused() -> None:
    assert folded(b"data: 12345\n\n" * 50, bound=20)
    with pytest.raises(EventTooLarge):
        folded(b"data: 123456789012345\n\n", bound=20)


def test_a_line_without_an_end_is_refused_at_the_bound() -> None:
    fold = SseFold(20)
    fold.feed(b"x" * 20)
    with pytest.raises(EventTooLarge):
        fold.feed(b"x")


def test_many_small_lines_of_one_event_are_refused_at_the_bound() -> None:
    with pytest.raises(EventTooLarge):
        folded(b"data: 1\n" * 4, bound=20)


def test_endless_comments_are_no_event_and_pass() -> None:
    assert folded(*[b": still here\n"] * 1000, bound=20) == []
    assert folded(*[b": still here\n\n"] * 1000, bound=20) == []
