import json

import pytest

from tokenbooth.core.codes import Kind
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.proving.malformed import MALFORMED, Malformed

# What the wire format alone cannot know: the model's own limits and the size of what is announced.
LATER = {"limit over the model's", "too long prompt", "over-size body"}
AT_ONCE = [bad for bad in MALFORMED if bad.name not in LATER]


@pytest.mark.parametrize("bad", AT_ONCE, ids=lambda bad: bad.name)
def test_the_reader_of_turns_refuses_it(bad: Malformed) -> None:
    with pytest.raises(Problem) as refused:
        OPENAI_CHAT.parse(bad.body("m", "mark"))
    assert refused.value.kind is Kind.INVALID_REQUEST


def test_the_bodies_are_bad_for_one_reason_only() -> None:
    """What they are made from is accepted, so each is refused for what was changed in it."""
    late = {bad.name: bad for bad in MALFORMED if bad.name in LATER}
    for name in ("limit over the model's", "too long prompt"):
        parsed = OPENAI_CHAT.parse(late[name].body("m", "mark"))
        assert parsed.turn.model == "m"
        assert parsed.turn.end_customer == "mark"


def test_names_are_unique_and_statuses_are_the_clients() -> None:
    assert len({bad.name for bad in MALFORMED}) == len(MALFORMED)
    assert {bad.status for bad in MALFORMED} == {400, 413}


def test_only_a_body_that_says_so_announces_more_than_it_sends() -> None:
    announcing = [bad for bad in MALFORMED if bad.announced_bytes is not None]
    assert [bad.name for bad in announcing] == ["over-size body"]
    assert announcing[0].status == 413


def test_the_one_that_only_an_engine_can_refuse_names_its_call() -> None:
    (deciding,) = (bad for bad in MALFORMED if bad.engine_decides)
    assert json.loads(deciding.body("m", "call-7"))["user"] == "call-7"


def test_no_body_is_larger_than_a_server_must_take() -> None:
    assert max(len(bad.body("m", "mark")) for bad in MALFORMED) < 2**20
