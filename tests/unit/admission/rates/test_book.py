from dataclasses import dataclass

import pytest

from tokenbooth.admission.rates.service import RateBook, RateFigure, RateTicket, headers
from tokenbooth.core.caller import Caller, CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

NO_LIMITS = CallLimits()


@dataclass
class Monotonic:
    us: int = 5_000_000_000

    def __call__(self) -> int:
        return self.us

    def step_s(self, seconds: float) -> None:
        self.us += int(seconds * 1_000_000)


def caller(
    key: CallLimits = NO_LIMITS,
    org: CallLimits = NO_LIMITS,
    *,
    key_id: str = "k",
    org_id: str = "o",
) -> Caller:
    return Caller(
        org_id=org_id,
        project_id="p",
        key_id=key_id,
        scopes=frozenset(),
        key_limits=key,
        org_limits=org,
    )


def refused(book: RateBook, who: Caller, tokens_max: int = 0) -> Problem:
    with pytest.raises(Problem) as caught:
        book.admit(who, tokens_max)
    return caught.value


def test_requests_are_admitted_up_to_the_limit() -> None:
    book, who = RateBook(Monotonic()), caller(CallLimits(requests_per_minute=3))
    for _ in range(3):
        book.admit(who, 10).close(10)
    problem = refused(book, who)
    assert problem.code is Code.RATE_LIMITED
    assert problem.facts["limit"] == "requests_per_minute"
    assert problem.facts["owner"] == "key"


def test_a_look_beforehand_refuses_like_a_call_and_counts_nothing() -> None:
    book, one = RateBook(Monotonic()), caller(CallLimits(requests_per_minute=1))
    for _ in range(3):
        book.check(one)
    book.admit(one, 5)
    with pytest.raises(Problem) as caught:
        book.check(one)
    assert caught.value.code is Code.RATE_LIMITED


def test_the_organization_is_shared_by_its_keys() -> None:
    book, org = RateBook(Monotonic()), CallLimits(requests_per_minute=2)
    book.admit(caller(org=org, key_id="a"), 0)
    book.admit(caller(org=org, key_id="b"), 0)
    problem = refused(book, caller(org=org, key_id="c"))
    assert problem.facts["owner"] == "organization"
    book.admit(caller(org=org, key_id="c", org_id="other"), 0)


def test_a_key_and_an_organization_of_the_same_id_are_two_owners() -> None:
    book = RateBook(Monotonic())
    book.admit(caller(CallLimits(requests_per_minute=1), key_id="x", org_id="x"), 0)
    assert len(book) == 2
    who = caller(org=CallLimits(requests_per_minute=2), key_id="y", org_id="x")
    book.admit(who, 0)
    assert refused(book, who).facts["owner"] == "organization"


def test_nothing_is_counted_at_one_level_when_the_other_refuses() -> None:
    book = RateBook(Monotonic())
    who = caller(
        CallLimits(requests_per_minute=5, tokens_per_minute=50, parallel_calls=5),
        CallLimits(parallel_calls=1),
    )
    ticket = book.admit(who, 10)
    for _ in range(20):
        assert refused(book, who, 10).facts["limit"] == "parallel_calls"
    state = book.state(who)
    assert state.requests.remaining == 4
    assert state.tokens.remaining == 40
    ticket.close(10)
    book.admit(who, 10)


def test_refused_calls_are_not_counted() -> None:
    clock = Monotonic()
    book, who = RateBook(clock), caller(CallLimits(requests_per_minute=1))
    book.admit(who, 0)
    for _ in range(60):
        clock.step_s(1)
        assert refused(book, who).code is Code.RATE_LIMITED
    clock.step_s(1)
    book.admit(who, 0)


@pytest.mark.parametrize("start_us", [0, 1, 400_000, 999_999])
def test_the_limit_holds_over_sixty_seconds_wherever_the_clock_stands(start_us: int) -> None:
    clock = Monotonic(start_us)
    book, who = RateBook(clock), caller(CallLimits(requests_per_minute=1))
    book.admit(who, 0)
    clock.us = start_us + 60_000_000 - 1
    assert refused(book, who).retry_after_s is not None
    clock.us = start_us + 61_000_000
    book.admit(who, 0)


def test_the_wait_named_is_enough_and_not_a_second_too_long() -> None:
    clock = Monotonic(7_300_000)
    book, who = RateBook(clock), caller(CallLimits(requests_per_minute=1))
    book.admit(who, 0)
    clock.step_s(20)
    wait_s = refused(book, who).retry_after_s
    assert wait_s is not None
    clock.step_s(wait_s - 1)
    assert refused(book, who).retry_after_s == 1
    clock.step_s(1)
    book.admit(who, 0)


def test_tokens_are_counted_at_their_worst_case() -> None:
    book, who = RateBook(Monotonic()), caller(CallLimits(tokens_per_minute=100))
    book.admit(who, 60)
    problem = refused(book, who, 41)
    assert problem.facts["limit"] == "tokens_per_minute"
    book.admit(who, 40)
    assert book.state(who).tokens.remaining == 0


def test_unused_tokens_are_given_back() -> None:
    book, who = RateBook(Monotonic()), caller(CallLimits(tokens_per_minute=100))
    book.admit(who, 100).close(30)
    assert book.state(who).tokens.remaining == 70
    book.admit(who, 70)


@pytest.mark.parametrize(("used", "remaining"), [(0, 100), (100, 0), (140, 0), (-5, 100)])
def test_impossible_usage_never_gives_back_more_than_was_taken(used: int, remaining: int) -> None:
    book, who = RateBook(Monotonic()), caller(CallLimits(tokens_per_minute=100))
    book.admit(who, 100).close(used)
    assert book.state(who).tokens.remaining == remaining


def test_nothing_is_given_back_after_the_window() -> None:
    clock = Monotonic()
    book, who = RateBook(clock), caller(CallLimits(tokens_per_minute=100))
    late = book.admit(who, 100)
    clock.step_s(61)
    book.admit(who, 100)
    late.close(0)
    assert book.state(who).tokens.remaining == 0


def test_a_call_larger_than_the_limit_is_refused_for_good() -> None:
    book, who = RateBook(Monotonic()), caller(CallLimits(tokens_per_minute=100))
    problem = refused(book, who, 101)
    assert problem.code is Code.INVALID_VALUE
    assert problem.retry_after_s is None
    assert len(book) == 0


def test_negative_tokens_are_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="negative"):
        RateBook(Monotonic()).admit(caller(), -1)


def test_parallel_calls_are_bounded_and_freed() -> None:
    book, who = RateBook(Monotonic()), caller(CallLimits(parallel_calls=2))
    first, second = book.admit(who, 0), book.admit(who, 0)
    problem = refused(book, who)
    assert problem.facts["limit"] == "parallel_calls"
    assert problem.retry_after_s == 1
    first.close(0)
    third = book.admit(who, 0)
    assert refused(book, who).facts["limit"] == "parallel_calls"
    second.close(0)
    third.close(0)
    book.admit(who, 0)
    book.admit(who, 0)


def _close(ticket: RateTicket) -> None:
    ticket.close(0)


def _void(ticket: RateTicket) -> None:
    ticket.void()


@pytest.mark.parametrize("first", [_close, _void])
@pytest.mark.parametrize("second", [_close, _void])
def test_a_ticket_gives_back_once(first: object, second: object) -> None:
    assert callable(first)
    assert callable(second)
    book, who = RateBook(Monotonic()), caller(CallLimits(parallel_calls=2, tokens_per_minute=10))
    ticket, _ = book.admit(who, 5), book.admit(who, 5)
    first(ticket)
    second(ticket)
    assert book.state(who).tokens.remaining == 5
    book.admit(who, 0)
    assert refused(book, who).facts["limit"] == "parallel_calls"


def test_a_voided_call_was_never_there() -> None:
    book = RateBook(Monotonic())
    who = caller(CallLimits(requests_per_minute=1, tokens_per_minute=10, parallel_calls=1))
    for _ in range(5):
        book.admit(who, 10).void()
    assert book.state(who).requests.remaining == 1
    assert book.state(who).tokens.remaining == 10
    book.admit(who, 10)


def test_state_of_a_stranger_is_untouched_and_remembers_nobody() -> None:
    book = RateBook(Monotonic())
    state = book.state(caller(CallLimits(7, 70, 1), CallLimits(9, 60, 1)))
    assert state.requests == RateFigure(7, 7, 0)
    assert state.tokens == RateFigure(60, 60, 0)
    assert len(book) == 0


def test_state_shows_the_tighter_level_for_each_limit() -> None:
    book = RateBook(Monotonic())
    org = CallLimits(requests_per_minute=10, tokens_per_minute=100)
    book.admit(caller(org=org, key_id="other"), 90)
    who = caller(CallLimits(requests_per_minute=5, tokens_per_minute=1000), org)
    book.admit(who, 5)
    state = book.state(who)
    assert (state.requests.limit, state.requests.remaining) == (5, 4)
    assert (state.tokens.limit, state.tokens.remaining) == (100, 5)


def test_state_resets_when_the_window_has_passed() -> None:
    clock = Monotonic()
    book, who = RateBook(clock), caller(CallLimits(requests_per_minute=2, tokens_per_minute=10))
    book.admit(who, 10)
    assert book.state(who).requests.reset_s == 61
    clock.step_s(30.5)
    assert book.state(who).requests.reset_s == 31
    clock.step_s(30.5)
    assert book.state(who).requests == RateFigure(2, 2, 0)
    assert book.state(who).tokens == RateFigure(10, 10, 0)


def test_a_limit_lowered_below_the_count_leaves_nothing() -> None:
    book = RateBook(Monotonic())
    for _ in range(5):
        book.admit(caller(CallLimits(requests_per_minute=5)), 0)
    lowered = caller(CallLimits(requests_per_minute=2))
    assert book.state(lowered).requests.remaining == 0
    assert refused(book, lowered).facts["allowed"] == 2


def test_without_any_limit_the_ceiling_is_shown() -> None:
    book = RateBook(Monotonic())
    book.admit(caller(), 10)
    pairs = dict(headers(book.state(caller())))
    assert len(pairs) == 6
    assert pairs["x-ratelimit-remaining-requests"] == str(10**12 - 1)
    assert pairs["x-ratelimit-remaining-tokens"] == str(10**12 - 10)


def test_idle_owners_are_forgotten() -> None:
    clock = Monotonic()
    book = RateBook(clock)
    for number in range(1000):
        book.admit(caller(key_id=f"k{number}", org_id=f"o{number}"), 1).close(1)
    assert len(book) == 2000
    clock.step_s(61)
    for number in range(1000):
        book.admit(caller(key_id="busy", org_id="busy"), 1).close(1)
        clock.step_s(0.001 * (number % 2))
    assert len(book) == 2


def test_owners_with_a_running_call_are_kept() -> None:
    clock = Monotonic()
    book, limits = RateBook(clock), CallLimits(parallel_calls=1)
    running = book.admit(caller(limits, key_id="long", org_id="long"), 1)
    for _ in range(100):
        clock.step_s(61)
        book.admit(caller(), 1).close(1)
    assert refused(book, caller(limits, key_id="long", org_id="long")).code is Code.RATE_LIMITED
    running.close(1)
    book.admit(caller(limits, key_id="long", org_id="long"), 1).close(1)


def test_the_book_stays_small_under_a_stream_of_new_keys() -> None:
    clock = Monotonic()
    book = RateBook(clock)
    largest = 0
    for number in range(5000):
        clock.step_s(1)
        book.admit(caller(key_id=f"k{number}", org_id=f"o{number}"), 1).close(1)
        largest = max(largest, len(book))
    assert largest <= 2 * 63


def test_a_clock_step_back_keeps_the_limit() -> None:
    clock = Monotonic()
    book, who = RateBook(clock), caller(CallLimits(requests_per_minute=1))
    book.admit(who, 0)
    clock.us -= 10_000_000
    assert refused(book, who).code is Code.RATE_LIMITED
