"""Probes follow from a seed, and only right and whole answers are marked right."""

import json
from dataclasses import replace

import pytest

from tokenbooth.engines.scripted.solving import solved
from tokenbooth.verify.packs.service import Family, Pack, Probe, is_right, probe

PACK = Pack(7)
COUNT = len(Family)


def one(family: Family, pack: Pack = PACK) -> Probe:
    return probe(pack, list(Family).index(family))


def right_answer(asked: Probe) -> tuple[str, str]:
    if asked.family is Family.LENGTH:
        return "1 2 3", "length"
    return asked.expected, "stop"


def test_a_pack_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    mine = [probe(PACK, number) for number in range(3 * COUNT)]
    assert mine == [probe(Pack(7), number) for number in range(3 * COUNT)]
    others = [probe(Pack(8), number) for number in range(3 * COUNT)]
    assert sum(a.text != b.text for a, b in zip(mine, others, strict=True)) > COUNT
    assert [each.family for each in mine] == list(Family) * 3


@pytest.mark.parametrize("number", range(4 * COUNT))
def test_the_right_answer_is_right_and_half_of_it_is_not(number: int) -> None:
    asked = probe(PACK, number)
    answer, finish = right_answer(asked)
    assert is_right(asked, answer, finish)
    assert not is_right(asked, answer, "length" if finish == "stop" else "stop")
    assert not is_right(asked, "", finish)
    assert not is_right(asked, "amber anchor autumn", finish) or asked.family is Family.LENGTH


@pytest.mark.parametrize("number", range(3 * COUNT))
def test_the_scripted_engine_knows_every_kind_of_probe(number: int) -> None:
    asked = probe(PACK, number)
    found = solved(asked.text)
    assert found is not None
    if asked.stop:
        found = found.split(asked.stop)[0]
    assert is_right(asked, found, right_answer(asked)[1])


def test_the_scripted_engine_knows_nothing_else() -> None:
    assert solved("What is the capital of Jena?") is None


@pytest.mark.parametrize(
    ("family", "answer", "fine"),
    [
        (Family.ARITHMETIC, "The answer is {}.", True),
        (Family.ARITHMETIC, "{} or perhaps 1", False),
        (Family.EXTRACTION, "The code is {}.", True),
        (Family.EXTRACTION, "X{}", False),
        (Family.NEEDLE, "It is {}!", True),
        (Family.NEEDLE, "{}0", False),
        (Family.COUNT, "Sure: {}", True),
        (Family.COUNT, "{} 99", False),
        (Family.CONSTRAINT, "{}.", True),
        (Family.CONSTRAINT, "{}, and more", False),
        (Family.SCHEMA, "```json\n{}\n```", True),
        (Family.SCHEMA, "{{broken", False),
        (Family.SCHEMA, '{{"thing": }}', False),
    ],
)
def test_what_stands_around_an_answer(family: Family, answer: str, fine: bool) -> None:
    asked = one(family)
    assert is_right(asked, answer.format(asked.expected), "stop") is fine


def test_a_stop_string_that_was_not_honoured_is_wrong() -> None:
    asked = one(Family.STOP)
    assert not is_right(asked, asked.expected + asked.stop, "stop")


def test_an_answer_that_was_not_cut_ignored_its_limit() -> None:
    asked = one(Family.LENGTH)
    assert not is_right(asked, "1 2 3 4 5 6 7 8 9", "stop")
    assert not is_right(asked, " ", "length")


def test_the_needle_is_hidden_in_as_many_lines_as_the_pack_says() -> None:
    short, long = (one(Family.NEEDLE, replace(PACK, needle_lines=n)) for n in (3, 60))
    assert len(short.text) < len(long.text)
    assert json.loads(one(Family.SCHEMA).expected)["pieces"] > 1
