"""What a gateway and its bookkeeper say arrives as it was meant, errors included."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.journal import AMOUNTS, FACTS, SETTLEMENTS, TEXTS
from tokenbooth.bookkeeper.frames import (
    FRAME_BYTES_MAX,
    Look,
    Question,
    Recalls,
    Refused,
    Round,
    RoundRefusedError,
    done_of,
    encode,
    error_of,
    question_decoder,
    read_body,
    refused_of,
    reply_decoder,
    round_done,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.leases.service import (
    Advance,
    Answer,
    Giving,
    LeaseLine,
    LevelKey,
    LimitRow,
    Period,
    RoundAsk,
    RoundDone,
    SettledCall,
    Verdict,
    Want,
    Wants,
)

KEYS = st.builds(LevelKey, st.sampled_from(LimitScope), TEXTS, st.none() | TEXTS)
RECALLS = st.dictionaries(TEXTS, AMOUNTS, max_size=3)
WANTS = st.builds(
    Want,
    chain=st.lists(KEYS, max_size=4).map(tuple),
    amount_nano=AMOUNTS,
    least_nano=AMOUNTS,
    runs=st.booleans(),
    recalls=RECALLS,
)
ASKS = st.builds(
    RoundAsk,
    replica_id=TEXTS,
    epoch=AMOUNTS,
    number=AMOUNTS,
    settled=st.lists(
        st.builds(SettledCall, FACTS, SETTLEMENTS, AMOUNTS, st.booleans()), max_size=3
    ).map(tuple),
    announced=st.lists(FACTS, max_size=2).map(tuple),
    wants=st.builds(
        Wants,
        st.lists(WANTS, max_size=2).map(tuple),
        st.lists(st.builds(Advance, KEYS, AMOUNTS), max_size=2).map(tuple),
    ),
    givings=st.dictionaries(TEXTS, st.builds(Giving, AMOUNTS, AMOUNTS), max_size=3),
    seen=RECALLS,
    recovers=st.booleans(),
)
ROWS = st.builds(
    LimitRow,
    id=TEXTS,
    scope=st.sampled_from(LimitScope),
    owner_id=TEXTS,
    window_id=TEXTS,
    period=st.sampled_from(Period),
    limit_nano=st.none() | AMOUNTS,
    spent_nano=AMOUNTS,
    leased_nano=AMOUNTS,
    held_nano=AMOUNTS,
    recall=AMOUNTS,
)
DONES = st.builds(
    RoundDone,
    number=AMOUNTS,
    lines=st.dictionaries(
        TEXTS, st.builds(LeaseLine, ROWS, AMOUNTS, st.none() | AMOUNTS, st.booleans()), max_size=3
    ),
    wanted=st.dictionaries(KEYS, TEXTS, max_size=3),
    answers=st.lists(st.builds(Answer, st.sampled_from(Verdict), AMOUNTS, RECALLS), max_size=2).map(
        tuple
    ),
)


def body_of(frame: bytes) -> bytes:
    async def read() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(frame)
        reader.feed_eof()
        return await read_body(reader)

    return asyncio.run(read())


@given(st.builds(Round, ASKS) | st.builds(Look, TEXTS))
def test_a_question_arrives_as_it_was_asked(question: Question) -> None:
    assert question_decoder.decode(encode(question)[4:]) == question


@given(DONES)
def test_a_booked_round_comes_back_as_it_was_booked(done: RoundDone) -> None:
    found = reply_decoder.decode(encode(done_of(done))[4:])
    assert round_done(found) == done  # type: ignore[arg-type]


def test_frames_are_cut_where_they_end() -> None:
    frame = encode(Recalls({"balance:org_1": 3}))
    assert reply_decoder.decode(body_of(frame + b"more")) == Recalls({"balance:org_1": 3})
    with pytest.raises(EOFError):
        body_of(frame[:-1])


def test_a_frame_that_claims_to_be_huge_is_not_waited_for() -> None:
    with pytest.raises(EOFError, match="a frame of"):
        body_of((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))


def test_a_problem_stays_the_problem_that_it_was() -> None:
    problem = Problem(Code.LEDGER_UNAVAILABLE, "away", detail="why", retry_after_s=3)
    found = error_of(refused_of(problem))
    assert isinstance(found, Problem)
    assert (found.code, found.public, found.detail, found.retry_after_s) == (
        Code.LEDGER_UNAVAILABLE,
        "away",
        "why",
        3,
    )


def test_what_the_database_refused_is_no_problem_of_a_caller() -> None:
    refused = refused_of(ValueError("no such price"))
    assert refused == Refused(None, "ValueError('no such price')")
    with pytest.raises(RoundRefusedError, match="no such price"):
        raise error_of(refused)
