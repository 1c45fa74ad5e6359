from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.admission.entry import line as lines
from tokenbooth.admission.entry.line import Band, Line
from tokenbooth.admission.entry.rules import cost_tokens
from tokenbooth.admission.entry.values import Visit

STANDARD, BATCH = 2, 6


def visit(tenant: str, rank: int = STANDARD, tokens: int = 10) -> Visit:
    return Visit(tenant, rank, tokens, tokens, 10**9)


def drained(line: Line) -> list[Visit]:
    found: list[Visit] = []
    while (head := line.head()) is not None:
        line.take(head)
        found.append(head)
    return found


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 7), st.integers(1, 500)), max_size=40)
)
def test_everybody_is_served_once_in_their_tenants_order(
    coming: list[tuple[str, int, int]],
) -> None:
    line = Line()
    visits = [visit(*each) for each in coming]
    for each in visits:
        line.add(each)
    served = drained(line)
    assert Counter(map(id, served)) == Counter(map(id, visits))
    for tenant in "abc":
        for rank in range(8):
            mine = [v for v in visits if (v.tenant, v.rank) == (tenant, rank)]
            assert [v for v in served if (v.tenant, v.rank) == (tenant, rank)] == mine
    assert line.count == 0


@settings(max_examples=60)
@given(st.lists(st.integers(1, 300), min_size=60, max_size=60), st.integers(1, 300))
def test_two_who_always_wait_get_the_same_but_for_one_call_each(
    lengths: list[int], other_length: int
) -> None:
    """The bound of fair service: twice the largest call, however long calls are."""
    line = Line()
    for length in lengths:
        line.add(visit("a", tokens=length))
        line.add(visit("b", tokens=other_length))
    served: Counter[str] = Counter()
    largest = max(cost_tokens(n, n) for n in (*lengths, other_length))
    for each in drained(line):
        served[each.tenant] += cost_tokens(each.input_tokens, each.output_tokens)
        band = line._bands[STANDARD]
        if len(band.waiting) == 2:
            assert abs(served["a"] - served["b"]) <= 2 * largest


def test_who_was_away_saved_nothing_up() -> None:
    line = Line()
    for _ in range(20):
        line.add(visit("busy"))
    for _ in range(10):
        head = line.head()
        assert head is not None
        line.take(head)
    for _ in range(10):
        line.add(visit("back"))
    order = [each.tenant for each in drained(line)]
    assert order[:4] in (["back", "busy", "back", "busy"], ["busy", "back", "busy", "back"])
    assert Counter(order[:10])["back"] == 5


def test_what_was_written_corrects_what_was_thought() -> None:
    line = Line()
    first, second = visit("cheap"), visit("dear")
    for each in (first, second):
        line.add(each)
    for each in drained(line):
        line.correct(each, 0 if each is first else 1_000)
    for _ in range(2):
        line.add(visit("dear"))
        line.add(visit("cheap"))
    assert [each.tenant for each in drained(line)] == ["cheap", "cheap", "dear", "dear"]
    line.correct(visit("nobody"), 5)


def test_the_last_band_gets_its_part_and_no_more() -> None:
    line = Line()
    for _ in range(400):
        line.add(visit("s"))
    for _ in range(40):
        line.add(visit("b", BATCH))
    order = [each.tenant for each in drained(line)][:400]
    assert 4 <= order.count("b") <= 400 // lines.SHARE_DIVISOR
    assert order[:60].count("b") == 0


def test_promised_calls_come_first_among_those_of_their_tenant() -> None:
    line = Line()
    plain, soon, later = visit("a"), visit("a"), visit("a")
    soon.promised = later.promised = True
    for each in (plain, soon, later):
        line.add(each)
    assert drained(line) == [soon, later, plain]


def test_the_last_call_of_the_heaviest_tenant_of_the_last_band_goes_first() -> None:
    line = Line()
    light, heavy, heaviest = visit("l"), visit("h"), visit("h", tokens=500)
    batch = visit("b", BATCH)
    for each in (light, heavy, heaviest):
        line.add(each)
    assert line.heaviest(STANDARD) is heaviest
    assert line.heaviest(BATCH) is None
    line.add(batch)
    assert line.heaviest(STANDARD) is batch
    line.drop(batch)
    line.drop(heavy)
    assert (line.count, drained(line)) == (2, [light, heaviest])


def test_who_is_ahead_of_a_newcomer() -> None:
    line = Line()
    assert line.ahead_of(visit("a")) == 0
    for _ in range(3):
        line.add(visit("flood"))
    line.add(visit("above", 0))
    # Of the flooder none has to go before one who had as little; of its own calls all have.
    assert line.ahead_of(visit("new")) == 1
    assert line.ahead_of(visit("flood")) == 4
    assert line.ahead_of(visit("low", BATCH)) == 4


def test_tenants_past_their_part_are_passed_over() -> None:
    line = Line()
    for name in ("over", "fair", "over"):
        line.add(visit(name))
    found = line.beside(STANDARD, lambda name: name == "over")
    assert found is not None
    assert found.tenant == "fair"
    assert line.beside(STANDARD, lambda _: True) is None


def test_memory_is_bounded_by_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "TENANTS_KEPT_MAX", 50)
    band = Band()
    for number in range(500):
        each = visit(f"org {number}")
        band.add(each)
        assert band.head() is each
        band.take(each)
    assert len(band.tenants) <= 50
    for number in range(2_000):
        each = visit(f"org {number % 3}")
        band.add(each)
        band.correct(each, 5)
        band.take(band.head())
    assert len(band._order) <= 4 * 3 + 64
