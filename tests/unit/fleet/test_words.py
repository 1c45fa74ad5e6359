"""What goes between a worker and the control process arrives as it was said, or not at all."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.admission.shares.service import Grant, Kind, Limited
from tokenbooth.engines.child.frames import FrameReader, FrameTooLargeError
from tokenbooth.fleet.words import (
    FRAME_BYTES_MAX,
    HEADER_BYTES,
    Ask,
    Flush,
    Give,
    Granted,
    Hello,
    Recall,
    Spared,
    Tell,
    Told,
    control_decoder,
    encode,
    worker_decoder,
)

CALLS = Limited(Kind.REQUESTS, "key", "key_1")
numbers = st.integers(0, 2**53)
names = st.text("ab_1é", max_size=9)
limiteds = st.builds(
    Limited,
    st.sampled_from(list(Kind)),
    st.sampled_from(("key", "org")),
    names,
)
to_control = st.one_of(
    st.builds(Hello, names, st.tuples(st.tuples(limiteds, numbers, numbers))),
    st.builds(Ask, numbers, limiteds, numbers, numbers),
    st.builds(Give, limiteds, numbers),
    st.builds(Spared, numbers, limiteds, numbers, numbers),
    st.builds(Told, numbers, st.binary(max_size=99)),
)
to_worker = st.one_of(
    st.builds(
        Granted,
        numbers,
        limiteds,
        numbers,
        st.builds(Grant, numbers, st.booleans(), st.booleans()),
        numbers,
    ),
    st.builds(Recall, numbers, limiteds, numbers, st.booleans()),
    st.builds(Tell, numbers),
    st.builds(Flush, numbers),
)


@settings(max_examples=30)
@given(st.lists(st.one_of(to_control), max_size=5), st.integers(1, 50))
def test_a_worker_s_words_arrive_however_the_stream_is_cut(messages, size):
    stream = b"".join(encode(message) for message in messages)
    reader = FrameReader(FRAME_BYTES_MAX)
    bodies = [
        body
        for start in range(0, len(stream), size)
        for body in reader.feed(stream[start : start + size])
    ]
    assert [control_decoder.decode(body) for body in bodies] == messages


@settings(max_examples=30)
@given(to_worker)
def test_the_control_process_s_words_arrive(message):
    frame = encode(message)
    assert int.from_bytes(frame[:HEADER_BYTES], "big") == len(frame) - HEADER_BYTES
    assert worker_decoder.decode(frame[HEADER_BYTES:]) == message


@settings(max_examples=20)
@given(to_control, to_worker)
def test_nobody_understands_its_own_words(mine, theirs):
    with pytest.raises(msgspec.ValidationError):
        worker_decoder.decode(encode(mine)[HEADER_BYTES:])
    with pytest.raises(msgspec.ValidationError):
        control_decoder.decode(encode(theirs)[HEADER_BYTES:])


@settings(max_examples=60)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(body):
    for decoder in (control_decoder, worker_decoder):
        try:
            message = decoder.decode(body)
        except msgspec.MsgspecError:
            continue
        assert decoder.decode(encode(message)[HEADER_BYTES:]) == message


@pytest.mark.parametrize(
    "body",
    [
        ["ask", 1, ["requests_per_minute", "key", "k"], 10],
        ["ask", "1", ["requests_per_minute", "key", "k"], 10, 1],
        ["ask", 1, ["requests_per_day", "key", "k"], 10, 1],
        ["ask", 1, ["requests_per_minute", "key"], 10, 1],
        ["give", ["places", "deployment", "d"], 1.5],
        ["told", 1, None],
        ["hello", "w", [[["places", "deployment", "d"], 1]]],
        [],
        None,
    ],
)
def test_a_message_with_a_wrong_part_is_refused(body):
    with pytest.raises(msgspec.ValidationError):
        control_decoder.decode(msgspec.msgpack.encode(body))


def test_a_frame_over_the_bound_is_refused_before_it_is_there():
    reader = FrameReader(FRAME_BYTES_MAX)
    assert reader.feed(FRAME_BYTES_MAX.to_bytes(HEADER_BYTES, "big")) == []
    with pytest.raises(FrameTooLargeError):
        FrameReader(FRAME_BYTES_MAX).feed((FRAME_BYTES_MAX + 1).to_bytes(HEADER_BYTES, "big"))


def test_an_older_grant_without_a_wait_asks_for_none():
    body = msgspec.msgpack.encode(["granted", 1, list(CALLS), 10, [3, False, False]])
    assert worker_decoder.decode(body) == Granted(1, CALLS, 10, Grant(3), 0)
