"""A tee passes on everything in order, and remembers all of it or says why not."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.booth import MemorySink
from tokenbooth.content.replays.service import Lack, StoredAnswer
from tokenbooth.gateway.tee import AnswerSpace, Tee

HEADERS = (("content-type", "text/plain"), ("x-a", "1"))


def tee_over(sink: MemorySink, *, bytes_max: int = 100, space_bytes: int = 1000):
    space = AnswerSpace(space_bytes)
    return Tee(sink, space, bytes_max), space


def test_everything_passes_on_at_once_and_is_remembered():
    sink = MemorySink()
    tee, _ = tee_over(sink)
    assert not tee.started
    tee.start(200, HEADERS)
    tee.write(b"one")
    tee.write(b"")
    tee.write(b"two")
    assert tee.started
    assert (sink.status, sink.headers, sink.body) == (200, dict(HEADERS), b"onetwo")
    tee.end()
    assert sink.ends == 1
    assert tee.answer() == StoredAnswer(200, HEADERS, (b"one", b"two"))


def test_the_listener_is_that_of_the_sink():
    sink, listener = MemorySink(), object()
    tee, _ = tee_over(sink)
    tee.listen(listener)  # type: ignore[arg-type]
    assert sink.listener is listener


def test_what_is_held_back_goes_out_later_in_its_order():
    sink = MemorySink()
    tee, _ = tee_over(sink)
    tee.start(200, HEADERS)
    tee.write(b"early ")
    tee.hold_back()
    tee.write(b"late ")
    tee.write(b"last")
    tee.end()
    assert (sink.body, sink.ends) == (b"early ", 0)
    assert tee.answer() == StoredAnswer(200, HEADERS, (b"early ", b"late ", b"last"))
    tee.let_go()
    assert (sink.body, sink.ends) == (b"early late last", 1)


def test_an_answer_that_begins_while_it_is_held_back_counts_as_started():
    sink = MemorySink()
    tee, _ = tee_over(sink)
    tee.hold_back()
    tee.start(200, HEADERS)
    assert tee.started
    assert not sink.started
    tee.let_go()
    assert sink.started


def test_letting_go_of_nothing_is_nothing():
    sink = MemorySink()
    tee, _ = tee_over(sink)
    tee.let_go()
    tee.start(200, HEADERS)
    assert sink.started


def test_without_a_start_there_is_no_answer():
    assert tee_over(MemorySink())[0].answer() is Lack.NOT_WHOLE


def test_the_largest_answer_fits_and_one_byte_more_does_not():
    for size, fits in ((10, True), (11, False)):
        sink = MemorySink()
        tee, space = tee_over(sink, bytes_max=10)
        tee.start(200, ())
        tee.write(b"x" * (size - 1))
        tee.write(b"y")
        assert (tee.answer() is Lack.TOO_LARGE) is not fits
        assert len(sink.body) == size
        assert space.free_bytes == (1000 - size if fits else 1000)


def test_what_was_too_large_stays_so():
    tee, _ = tee_over(MemorySink(), bytes_max=2)
    tee.start(200, ())
    tee.write(b"xxx")
    tee.write(b"y")
    tee.close()
    assert tee.answer() is Lack.TOO_LARGE


def test_answers_share_one_space_and_give_it_back():
    space = AnswerSpace(10)
    first, second = Tee(MemorySink(), space, 100), Tee(MemorySink(), space, 100)
    first.start(200, ())
    second.start(200, ())
    first.write(b"x" * 8)
    second.write(b"yy")
    second.write(b"z")
    assert second.answer() is Lack.NOT_STORED
    assert isinstance(first.answer(), StoredAnswer)
    assert space.free_bytes == 2
    first.close()
    second.close()
    first.close()
    assert space.free_bytes == 10


STEPS = st.lists(st.one_of(st.binary(max_size=30), st.sampled_from(["hold", "go"])), max_size=20)


@given(STEPS, st.integers(0, 100), st.integers(0, 100))
def test_nothing_is_lost_doubled_or_reordered(steps, bytes_max: int, space_bytes: int):
    sink = MemorySink()
    tee, space = tee_over(sink, bytes_max=bytes_max, space_bytes=space_bytes)
    tee.start(200, HEADERS)
    said = []
    for step in steps:
        if step == "hold":
            tee.let_go()
            tee.hold_back()
        elif step == "go":
            tee.let_go()
        else:
            said.append(step)
            tee.write(step)
    tee.let_go()
    assert sink.body == b"".join(said)
    answer = tee.answer()
    whole = b"".join(said)
    if isinstance(answer, StoredAnswer):
        assert answer.chunks == tuple(chunk for chunk in said if chunk)
        assert space.free_bytes == space_bytes - len(whole)
    else:
        assert len(whole) > min(bytes_max, space_bytes)
        assert space.free_bytes == space_bytes
    tee.close()
    assert space.free_bytes == space_bytes
