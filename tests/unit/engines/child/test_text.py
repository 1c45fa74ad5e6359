"""Text is let out whole, never with broken characters, never with a stop string or part of one."""

from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.engines.child.frames import Logprob
from tokenbooth.engines.child.text import ChoiceText, Out, held_back, stop_at

ALPHABET = "ab\n é日🙂"
BYTES = [bytes([byte]) for byte in range(256)]


def play(pieces: list[bytes], stop: tuple[str, ...] = ()) -> tuple[list[Out], bool]:
    """What comes out of ``pieces``, the closing included, and whether a stop string ended it."""
    text = ChoiceText(pieces.__getitem__, stop)
    outs = []
    for id_ in range(len(pieces)):
        outs.append(text.take(id_, -float(id_)))
        if outs[-1].stopped:
            return outs, True
    outs.append(text.finish())
    return outs, False


def cut(raw: bytes, sizes: list[int]) -> list[bytes]:
    pieces, place, turn = [], 0, 0
    while place < len(raw):
        size = sizes[turn % len(sizes)]
        pieces.append(raw[place : place + size])
        place, turn = place + size, turn + 1
    return pieces


SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=8)
WORDS = st.text(ALPHABET, max_size=30)
STOPS = st.lists(st.text(ALPHABET, min_size=1, max_size=4), max_size=3).map(tuple)


@given(WORDS, SIZES)
def test_any_cutting_of_utf8_gives_the_text_back(text: str, sizes: list[int]) -> None:
    pieces = cut(text.encode(), sizes)
    outs, stopped = play(pieces)
    assert not stopped
    assert "".join(out.text for out in outs) == text
    assert sum(out.output_tokens for out in outs) == len(pieces)
    assert "\ufffd" not in "".join(out.text for out in outs)


@given(WORDS, SIZES, STOPS)
def test_text_ends_exactly_before_the_first_stop_string(
    text: str, sizes: list[int], stop: tuple[str, ...]
) -> None:
    pieces = cut(text.encode(), sizes)
    outs, stopped = play(pieces, stop)
    said = "".join(out.text for out in outs)
    at = stop_at(text, stop)
    assert stopped == (at is not None)
    assert text.startswith(said)
    if not stopped:
        assert said == text
    else:
        assert stop_at(said, stop) is None
        assert any(text[len(said) :].startswith(word) for word in stop)


@given(WORDS, SIZES, STOPS)
def test_no_part_of_a_stop_string_ever_leaves(
    text: str, sizes: list[int], stop: tuple[str, ...]
) -> None:
    said = ""
    for out in play(cut(text.encode(), sizes), stop)[0]:
        said += out.text
        assert stop_at(said, stop) is None


@given(WORDS, SIZES, STOPS)
def test_every_token_is_counted_once_and_only_when_its_text_is_out(
    text: str, sizes: list[int], stop: tuple[str, ...]
) -> None:
    pieces = cut(text.encode(), sizes)
    outs, stopped = play(pieces, stop)
    taken = len(outs) if stopped else len(outs) - 1
    assert sum(out.output_tokens for out in outs) == taken
    counted, said = 0, 0
    for out in outs[: -1 if stopped else len(outs)]:
        counted += out.output_tokens
        said += len(out.text.encode())
        assert sum(map(len, pieces[:counted])) <= said


@given(st.lists(st.integers(0, 255), max_size=40))
def test_bytes_that_are_no_text_become_replacement_characters(raw: list[int]) -> None:
    outs, _ = play([BYTES[byte] for byte in raw])
    assert "".join(out.text for out in outs) == bytes(raw).decode("utf-8", "replace")
    assert sum(out.output_tokens for out in outs) == len(raw)


def test_half_a_character_waits_with_its_token() -> None:
    first, second = "🙂".encode()[:2], "🙂".encode()[2:]
    text = ChoiceText([first, second].__getitem__, ())
    assert text.take(0) == Out("", 0, ())
    assert text.take(1) == Out("🙂", 2, ())
    assert text.finish() == Out("", 0, ())
    assert text.output_tokens == 2


def test_the_beginning_of_a_stop_string_waits_until_it_is_none() -> None:
    text = ChoiceText([b"on", b"e en", b"d", b" run"].__getitem__, ("end!",))
    assert text.take(0) == Out("on", 1, ())
    assert text.take(1) == Out("e ", 0, ())
    assert text.take(2) == Out("", 0, ())
    assert text.take(3) == Out("end run", 3, ())


def test_a_stop_string_ends_the_choice_and_drops_what_follows() -> None:
    text = ChoiceText([b"yes. No", b"t this"].__getitem__, ("Not",))
    assert text.take(0) == Out("yes. ", 0, ())
    assert text.take(1) == Out("", 2, (), stopped=True)


def test_an_end_token_has_no_text_and_is_counted() -> None:
    text = ChoiceText([b"hi", b""].__getitem__, ())
    text.take(0)
    assert text.take(1) == Out("", 1, ())


def test_logprobs_come_with_their_text() -> None:
    text = ChoiceText([b"a", b"b", b"c"].__getitem__, ("bd",))
    assert text.take(0, -1.0).logprobs == (Logprob("a", -1.0),)
    assert text.take(1, -2.0).logprobs == ()
    assert text.take(2, -3.0).logprobs == (Logprob("b", -2.0), Logprob("c", -3.0))


def test_logprobs_of_a_stop_string_are_not_told() -> None:
    text = ChoiceText([b"a", b"b", b"d"].__getitem__, ("bd",))
    outs = [text.take(id_, -1.0) for id_ in range(3)]
    assert [len(out.logprobs) for out in outs] == [1, 0, 0]
    assert outs[-1].stopped


def test_an_unfinished_character_at_the_end_is_replaced() -> None:
    text = ChoiceText(["日".encode()[:1]].__getitem__, ())
    assert text.take(0).text == ""
    assert text.finish() == Out("\ufffd", 1, ())


@given(WORDS, STOPS)
def test_what_is_held_back_is_the_longest_end_that_may_become_a_stop_string(
    text: str, stop: tuple[str, ...]
) -> None:
    held = held_back(text, stop)
    ends = [
        length
        for length in range(1, len(text) + 1)
        if any(len(word) > length and word.startswith(text[-length:]) for word in stop)
    ]
    assert held == max(ends, default=0)


def test_the_earliest_stop_string_wins() -> None:
    assert stop_at("abcabc", ("ca", "b")) == 1
    assert stop_at("abc", ("x",)) is None
    assert stop_at("abc", ()) is None
