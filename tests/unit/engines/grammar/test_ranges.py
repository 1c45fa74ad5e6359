"""Ranges of numbers, compared with counting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gbnf import Grammar, Node
from tokenbooth.engines.grammar.ranges import integer_range, natural_range, number_range


def language(body: str, limit: int = 200_000) -> set[str]:
    """Every text of a rule without endless repeats."""

    def texts(node: Node) -> set[str]:
        if node.kind == "text":
            return {node.text}
        if node.kind == "class":
            return set(node.text)
        if node.kind == "any":
            return set().union(*map(texts, node.parts))
        if node.kind == "all":
            found = {""}
            for part in node.parts:
                found = {a + b for a in found for b in texts(part)}
            assert len(found) <= limit
            return found
        assert node.kind == "times"
        assert node.most is not None
        found, powers = set(), {""}
        for count in range(node.most + 1):
            if count >= node.least:
                found |= powers
            powers = {a + b for a in powers for b in texts(node.parts[0])}
        return found

    return texts(Grammar(f"root ::= {body}").rules["root"])


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_exactly_the_numbers_of_the_range(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert language(natural_range(low, high)) == {str(n) for n in range(low, high + 1)}


@given(st.integers(-1500, 1500), st.integers(-1500, 1500))
def test_negative_numbers_too(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert language(integer_range(low, high)) == {str(n) for n in range(low, high + 1)}


@pytest.mark.parametrize(("low", "high"), [(0, 0), (9, 10), (99, 100), (0, 999), (100, 199)])
def test_edges(low: int, high: int) -> None:
    assert language(natural_range(low, high)) == {str(n) for n in range(low, high + 1)}


def test_huge_ranges_stay_short() -> None:
    assert len(integer_range(-(10**30), 10**30)) < 2_000
    assert len(number_range(None, None)) < 4_000
    assert len(integer_range(123_456_789, 987_654_321)) < 4_000


def test_open_ends_are_cut_at_fifteen_digits() -> None:
    grammar = Grammar(f"root ::= {integer_range(5, None)}")
    longest = grammar.say(lambda most: most)
    assert longest is not None
    assert len(longest) == 15


@pytest.mark.parametrize("write", [integer_range, number_range])
def test_an_empty_range_is_refused(write: object) -> None:
    with pytest.raises(ValueError, match="empty"):
        write(2, 1)  # type: ignore[operator]


@pytest.mark.parametrize(("low", "high"), [(-1, 3), (4, 3)])
def test_natural_ranges_are_natural(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="natural_range"):
        natural_range(low, high)


@given(
    st.integers(-50, 50),
    st.integers(-50, 50),
    st.lists(st.integers(0, 10**6), min_size=40, max_size=40),
)
def test_decimals_stay_inside_their_bounds(one: int, other: int, picks: list[int]) -> None:
    low, high = sorted((one, other))
    grammar = Grammar(f"root ::= {number_range(low, high)}")
    numbers = iter(picks)
    said = grammar.say(lambda most: next(numbers) % (most + 1))
    assert said is not None
    assert low <= float(said) <= high


def test_a_probability_can_be_a_fraction() -> None:
    body = number_range(0, 1)
    short = language(body.replace("{1,6}", "{1,2}"))
    assert {"0", "1", "0.5", "0.25"} <= short
    assert "1.5" not in short
