"""Query parameters are taken exactly as documented or refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.signing.canonical import canonical
from tokenbooth.web.query import DAYS_MAX, PAGE_MAX, day_span, identifier, only, page_limit

NOW_US = 1_795_000_000 * 1_000_000  # 2026-11-18 UTC
DAY_US = 86_400 * 1_000_000


@given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")))
def test_exactly_the_known_parameters_pass(sent: set[str], known: set[str]) -> None:
    if sent <= known:
        assert only(dict.fromkeys(sent, "1"), known) is None  # type: ignore[func-returns-value]
    else:
        with pytest.raises(Problem) as caught:
            only(dict.fromkeys(sent, "1"), known)
        assert caught.value.param == min(sent - known)


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(Problem) as caught:
        only({"limit": "1", "org_id": "org_1"}, {"limit"})
    assert (caught.value.code, caught.value.param) == (Code.UNKNOWN_FIELD, "org_id")
    assert "limit" in caught.value.public


def test_a_very_long_name_is_shown_cut() -> None:
    with pytest.raises(Problem) as caught:
        only({"x" * 5000: "1"}, ())
    assert len(caught.value.public) < 200


@given(st.integers(-5, 2000))
def test_a_limit_is_taken_exactly_in_its_range(limit: int) -> None:
    if 1 <= limit <= PAGE_MAX:
        assert page_limit({"limit": str(limit)}, 20) == limit
    else:
        with pytest.raises(Problem) as caught:
            page_limit({"limit": str(limit)}, 20)
        assert caught.value.param == "limit"


@pytest.mark.parametrize("text", ["", "1.0", "١", "1e1", " 1", "+1", "9" * 5000, "\0"])
def test_a_limit_that_is_no_plain_number_is_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        page_limit({"limit": text}, 20)
    assert caught.value.code is Code.INVALID_VALUE


def test_an_absent_limit_is_the_default() -> None:
    assert page_limit({}, 20) == 20


@pytest.mark.parametrize("text", ["req_0123abc", "key-1", "A9"])
def test_an_id_passes_unchanged(text: str) -> None:
    assert identifier({"after": text}, "after") == text


@pytest.mark.parametrize("text", ["", "_", "a b", "é1", "a\0b", "a" * 201, "a;drop", "../x"])
def test_an_impossible_id_is_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        identifier({"after": text}, "after")
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "after")


def test_an_absent_id_is_none() -> None:
    assert identifier({}, "after") is None


def test_the_default_span_ends_with_today() -> None:
    since_us, until_us = day_span({}, NOW_US, 30)
    assert until_us - since_us == 30 * DAY_US
    assert until_us - DAY_US <= NOW_US < until_us


def test_the_last_day_of_all_can_be_signed_in_a_statement() -> None:
    last = {"since": "2254-12-31", "until": "2254-12-31"}
    assert canonical({"until_us": day_span(last, NOW_US, 30)[1]})


def test_both_ends_are_inclusive_days() -> None:
    since_us, until_us = day_span({"since": "2026-02-28", "until": "2026-03-01"}, NOW_US, 30)
    assert until_us - since_us == 2 * DAY_US


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-02-30"}, "until"),
        ({"until": "1969-12-31"}, "until"),
        ({"until": "9999-12-31"}, "until"),
        ({"since": "2255-01-01", "until": "2255-01-01"}, "until"),
        ({"since": "2026-03-02", "until": "2026-03-01"}, "since"),
        ({"since": "2024-01-01", "until": "2026-03-01"}, "since"),
        ({"since": "2026-1-1\0"}, "since"),
    ],
)
def test_an_impossible_span_is_refused(query: dict[str, str], param: str) -> None:
    with pytest.raises(Problem) as caught:
        day_span(query, NOW_US, 30)
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, param)


@given(st.integers(0, 2 * DAYS_MAX))
def test_a_span_is_never_longer_than_a_year(days: int) -> None:
    from datetime import date, timedelta

    since = date(2020, 1, 1)
    query = {"since": str(since), "until": str(since + timedelta(days=days))}
    if days < DAYS_MAX:
        since_us, until_us = day_span(query, NOW_US, 30)
        assert until_us - since_us == (days + 1) * DAY_US
    else:
        with pytest.raises(Problem):
            day_span(query, NOW_US, 30)
