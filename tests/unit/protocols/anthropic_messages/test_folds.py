"""Whatever an engine says, in whatever order: the stream folds to the whole, nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.messages_answer import (
    CAPPED,
    END,
    PROBLEM,
    RECEIPT,
    USAGE,
    both,
    call,
    run,
    whole,
    writer_of,
)
from tests.support.messages_stream import Folder, events_of, folded, input_of
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, ToolCallDelta
from tokenbooth.core.receipt import Receipt
from tokenbooth.protocols.anthropic_messages.lanes import arguments_object
from tokenbooth.protocols.anthropic_messages.write import MESSAGE_STOP

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=4)
PIECES = st.sampled_from(['{"a":', "1", "}", "{}", '"b"', "{", " ", "", '{"c":2}', "[1]", "nul"])
CALLS = st.builds(
    ToolCallDelta,
    st.integers(0, 3),
    PIECES | TEXTS,
    st.none() | st.sampled_from(["c1", "c2"]),
    st.none() | st.sampled_from(["", "f", "g"]),
)
DELTAS = st.builds(
    Delta,
    choice=st.sampled_from([0, 0, 0, 1]),
    text=st.just("") | TEXTS,
    reasoning=st.just("") | TEXTS,
    refusal=st.just("") | st.just("") | TEXTS,
    tool_call=st.none() | CALLS,
    finish=st.sampled_from([None] * 8 + list(FinishReason)),
    stopped_by=st.none() | st.just("END"),
)
ENDS = st.builds(RunEnd, st.none() | st.just(USAGE), st.booleans())


@given(st.lists(DELTAS, max_size=20), ENDS, st.sampled_from([None, RECEIPT, CAPPED]), st.booleans())
def test_folding_the_stream_gives_the_whole(
    deltas: list[Delta], end: RunEnd, receipt: Receipt | None, shown: bool
) -> None:
    raw = run(writer_of(stream=True, shown=shown), deltas, end, receipt)
    assert raw.count(MESSAGE_STOP) == 1
    assert raw.endswith(MESSAGE_STOP)
    assert folded(raw) == whole(deltas, end=end, receipt=receipt, shown=shown)


SAID = st.lists(st.tuples(st.integers(0, 2), st.text("ab", max_size=2)), max_size=12)


@given(SAID)
def test_no_piece_of_any_call_is_lost_however_calls_are_mixed(said: list[tuple[int, str]]) -> None:
    """Each call's text is a quoted string in an object, told piece by piece, in turns."""
    told: dict[int, str] = {}
    deltas = []
    for index, piece in said:
        opening = "" if index in told else '{"said":"'
        told[index] = told.get(index, "") + piece
        deltas.append(call(index, opening + piece, f"c{index}", "f"))
    deltas += [call(index, '"}') for index in reversed(told)]
    found = {block["id"]: block["input"]["said"] for block in whole(deltas)["content"] if told}
    assert found == {f"c{index}": text for index, text in told.items()}
    both(deltas)


@given(st.lists(DELTAS, max_size=8), st.integers(0, 8), st.booleans())
def test_a_stream_that_breaks_anywhere_ends_with_the_error_alone(
    deltas: list[Delta], at: int, pinged: bool
) -> None:
    writer = writer_of(stream=True)
    raw = b"".join(map(writer.delta, deltas[:at]))
    raw += writer.heartbeat() if pinged else b""
    raw += writer.problem(PROBLEM) + writer.closing(END, RECEIPT)
    folder = Folder()
    for event in events_of(raw):
        folder.take(event)
    assert folder.error is not None


@pytest.mark.parametrize(
    "text", ["\x1f", "\x1c{}", "\x0b", "\u2003{}", " \t\r\n", " {} \n", "{}\x85"]
)
def test_only_what_json_calls_space_is_space(text: str) -> None:
    raw = arguments_object(text)
    assert (raw is None) == ("partial_json" in input_of(text))


def test_the_reader_of_the_tests_means_what_it_says() -> None:
    assert input_of("") == {"input": {}}
    assert input_of("[]") == {"input": {}, "partial_json": "[]"}
    with pytest.raises(AssertionError):
        Folder().take({"type": "message_stop"})
