"""Frames survive any cutting of the stream, and nothing over the bound is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.engines.child import frames
from tokenbooth.engines.child.frames import (
    Begin,
    Broken,
    Cancel,
    Count,
    Counted,
    FrameReader,
    FrameTooLargeError,
    Load,
    Logprob,
    Over,
    Piece,
    Ready,
    Refused,
    Step,
    encode,
    from_child_decoder,
    to_child_decoder,
)

TEXT = st.text(max_size=20)
NUMBER = st.integers(0, 2**31)
STEPS = st.builds(
    Step,
    pieces=st.lists(
        st.builds(
            Piece,
            NUMBER,
            NUMBER,
            TEXT,
            NUMBER,
            st.lists(st.builds(Logprob, TEXT, st.floats(-100, 0)), max_size=2).map(tuple),
            st.sampled_from([None, "stop", "length"]),
        ),
        max_size=3,
    ).map(tuple),
    over=st.lists(st.builds(Over, NUMBER, NUMBER, NUMBER), max_size=2).map(tuple),
    refused=st.lists(st.builds(Refused, NUMBER, TEXT, TEXT), max_size=2).map(tuple),
    counted=st.lists(st.builds(Counted, NUMBER, NUMBER), max_size=2).map(tuple),
)


def begin(**fields: object) -> Begin:
    plain: dict[str, object] = {
        "run": 1,
        "input_ids": None,
        "messages": (("user", "hi"),),
        "output_tokens_max": None,
        "choices": 1,
        "temperature": None,
        "top_p": None,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": None,
        "stop": (),
        "logit_bias": (),
        "logprobs": None,
        "grammar": None,
    }
    return Begin(**(plain | fields))  # type: ignore[arg-type]


@given(st.lists(STEPS, max_size=4), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_steps_come_out_as_they_went_in_however_the_stream_is_cut(
    steps: list[Step], cuts: list[int]
) -> None:
    stream = b"".join(map(encode, steps))
    reader = FrameReader()
    found = []
    place, turn = 0, 0
    while place < len(stream):
        size = cuts[turn % len(cuts)]
        found += reader.feed(stream[place : place + size])
        place, turn = place + size, turn + 1
    assert [from_child_decoder.decode(body) for body in found] == steps


@pytest.mark.parametrize(
    "order",
    [
        Load(b"{}"),
        begin(),
        begin(input_ids=b"\x01\x00\x00\x00", messages=(), stop=("a",), logit_bias=((5, -1.5),)),
        Cancel(7),
        Count(3, (("system", "x"), ("user", "日本"))),
    ],
)
def test_orders_come_out_as_they_went_in(order: frames.ToChild) -> None:
    [body] = FrameReader().feed(encode(order))
    assert to_child_decoder.decode(body) == order


@pytest.mark.parametrize("message", [Ready(8192, "it"), Ready(None, ""), Broken("INTERNAL", "no")])
def test_first_words_come_out_as_they_went_in(message: frames.FromChild) -> None:
    [body] = FrameReader().feed(encode(message))
    assert from_child_decoder.decode(body) == message


def test_an_announced_frame_over_the_bound_is_refused_before_it_arrives() -> None:
    reader = FrameReader(bytes_max=10)
    assert reader.feed((10).to_bytes(4, "big") + b"x" * 10) == [b"x" * 10]
    with pytest.raises(FrameTooLargeError, match="11 bytes"):
        reader.feed((11).to_bytes(4, "big"))


def test_a_frame_over_the_bound_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "FRAME_BYTES_MAX", 8)
    with pytest.raises(FrameTooLargeError):
        encode(Load(b"0123456789"))


def test_a_length_alone_gives_nothing_yet() -> None:
    reader = FrameReader()
    assert reader.feed(b"\x00\x00") == []
    assert reader.feed(b"\x00\x02") == []
    assert reader.feed(b"a") == []
    assert reader.feed(b"b\x00\x00\x00\x00") == [b"ab", b""]
