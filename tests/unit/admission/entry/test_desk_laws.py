"""What holds at a desk whatever comes: nobody is lost, nobody is put out, nobody waits for ever."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.admission.entry.desk import Desk
from tokenbooth.admission.entry.values import (
    NEVER_US,
    RANKS,
    TURN_US,
    Limits,
    Pace,
    Reason,
    Refusal,
    Refusals,
    Visit,
)

S = 1_000_000
WAIT_S = 30
PACE = Pace(2 * S, 50_000, 1, 4)
LIMITS = st.builds(
    Limits, st.integers(1, 5), st.integers(1, 12), st.one_of(st.none(), st.just(PACE))
)
OPS = st.lists(
    st.tuples(
        st.sampled_from(["come", "come", "come", "first", "leave", "give up", "pressed"]),
        st.sampled_from("abc"),
        st.integers(0, RANKS - 1),
        st.integers(1, 400),
        st.integers(0, 2 * S),
    ),
    max_size=120,
)


@dataclass
class Desked:
    """A desk, and where every call is that was ever brought to it, as its owner knows."""

    limits: Limits
    now_us: int = S
    asked: list[Visit] = field(default_factory=list)
    inside: list[Visit] = field(default_factory=list)
    left: list[Visit] = field(default_factory=list)
    away: dict[Visit, Refusal] = field(default_factory=dict)
    most_inside: int = 0

    def __post_init__(self) -> None:
        self.desk = Desk(self.limits, self)

    def entered(self, visit: Visit) -> None:
        assert visit not in self.inside
        assert visit not in self.away
        self.inside.append(visit)
        self.most_inside = max(self.most_inside, self.desk.inside)

    def refused(self, visit: Visit, refusal: Refusal) -> None:
        assert visit not in self.inside, "a call that started is never put out"
        assert visit not in self.left
        self.away[visit] = refusal

    def come(
        self, tenant: str = "a", rank: int = 2, tokens: int = 10, wait_s: int = WAIT_S
    ) -> Visit:
        visit = Visit(tenant, rank, tokens, tokens, wait_s * S)
        self.asked.append(visit)
        refusal = self.desk.ask(visit, self.now_us)
        if refusal is not None:
            self.refused(visit, refusal)
        elif not visit.waits:
            self.entered(visit)
        return visit

    def leave(self, visit: Visit) -> None:
        self.inside.remove(visit)
        self.left.append(visit)
        self.desk.leave(visit, self.now_us)

    def give_up(self, visit: Visit) -> None:
        refusal = self.desk.give_up(visit, self.now_us)
        assert refusal is not None
        self.refused(visit, refusal)

    @property
    def waiting(self) -> list[Visit]:
        return [visit for visit in self.asked if visit.waits]

    def do(self, what: str, tenant: str, rank: int, tokens: int, after_us: int) -> None:
        self.now_us += after_us
        if what == "come":
            self.come(tenant, rank, tokens)
        elif what == "pressed":
            self.desk.pressed()
        elif what == "give up" and self.waiting:
            self.give_up(self.waiting[tokens % len(self.waiting)])
        elif what == "leave" and self.inside:
            self.leave(self.inside[tokens % len(self.inside)])
        elif what == "first" and self.inside:
            self.desk.first(self.inside[tokens % len(self.inside)], self.now_us)


@settings(max_examples=60)
@given(LIMITS, OPS)
def test_every_call_is_in_exactly_one_place_and_no_bound_is_passed(
    limits: Limits, ops: list[tuple[str, str, int, int, int]]
) -> None:
    it = Desked(limits)
    for op in ops:
        it.do(*op)
        assert it.desk.inside == len(it.inside) <= limits.concurrency_max
        assert it.desk.waiting == len(it.waiting) <= limits.queue_max
        assert len(it.asked) == sum(map(len, (it.inside, it.left, it.away, it.waiting)))
        assert it.desk.limit >= 1
        assert it.desk.demand_milli(it.now_us) >= 0
    assert it.most_inside <= limits.concurrency_max
    for refusal in it.away.values():
        assert 1 <= refusal.retry_after_s <= 600


@settings(max_examples=40)
@given(LIMITS, OPS)
def test_when_calls_end_everybody_who_waits_is_served_or_told(
    limits: Limits, ops: list[tuple[str, str, int, int, int]]
) -> None:
    it = Desked(limits)
    for op in ops:
        it.do(*op)
    turns = 0
    while it.inside:
        turns += 1
        assert turns <= len(it.asked)
        it.now_us += 10_000
        it.leave(it.inside[0])
    assert (it.desk.inside, it.desk.waiting, it.waiting) == (0, 0, [])
    assert it.come("new", 7, 10_000) in it.inside, "an idle server takes any call"


@settings(max_examples=40)
@given(st.integers(1, 4), OPS)
def test_no_place_is_free_while_a_customer_waits(
    places: int, ops: list[tuple[str, str, int, int, int]]
) -> None:
    """Where nothing but places is short, customers of one tenant fill all of them."""
    it = Desked(Limits(places, 50))
    for what, _, _, tokens, after_us in ops:
        it.do(what, "a", 2, tokens, after_us)
        assert not it.desk.waiting or it.desk.inside == places


@settings(max_examples=40)
@given(st.lists(st.integers(0, RANKS - 1), min_size=2, max_size=30))
def test_bands_are_served_in_strict_order(ranks: list[int]) -> None:
    it = Desked(Limits(1, 50))
    it.come()
    for rank in ranks:
        it.come(rank=rank)
    served: list[int] = []
    while it.inside:
        served.append(it.inside[0].rank)
        it.leave(it.inside[0])
    assert served[1:] == sorted(ranks)


def test_among_tenants_who_never_stop_asking_places_are_shared_evenly() -> None:
    it = Desked(Limits(4, 200))
    for number in range(60):
        it.come("flood" if number < 40 else f"polite {number % 2}")
    for _ in range(24):
        it.now_us += 100_000
        it.leave(it.inside[0])
    counts = [
        sum(visit.tenant == name for visit in it.left[8:])
        for name in ("flood", "polite 0", "polite 1")
    ]
    assert max(counts) - min(counts) <= 2


def test_a_full_line_sheds_who_has_most_and_never_one_that_started() -> None:
    it = Desked(Limits(2, 4))
    started = [it.come("flood"), it.come("flood")]
    first_waiting = [it.come("flood", tokens=100) for _ in range(4)]
    polite = it.come("polite")
    assert polite.waits
    assert list(it.away) == [first_waiting[-1]]
    assert it.away[first_waiting[-1]].reason is Reason.FULL
    assert it.inside == started
    more = it.come("flood")
    assert it.away[more].reason is Reason.FULL, "who has most makes no room for itself"


def test_a_better_band_finds_room_in_a_line_full_of_others_and_not_the_other_way() -> None:
    it = Desked(Limits(1, 2))
    it.come("a")
    low = [it.come("b", rank=6) for _ in range(2)]
    better = it.come("c", rank=0)
    assert better.waits
    assert list(it.away) == [low[1]]
    it.come("c", rank=0)
    worse = it.come("d", rank=6)
    assert it.away[worse].reason is Reason.FULL
    assert better.waits


def test_who_will_not_wait_is_told_at_once_and_leaves_no_trace() -> None:
    it = Desked(Limits(1, 4))
    it.come()
    away = it.come(wait_s=0)
    assert it.away[away].reason is Reason.BUSY
    assert it.desk.waiting == 0
    assert it.desk.give_up(away, it.now_us) is None


def test_who_comes_back_when_told_goes_before_those_of_its_tenant_who_came_in_between() -> None:
    it = Desked(Limits(1, 1))
    it.come()
    it.come()
    refused = it.come()
    told_s = it.away[refused].retry_after_s
    it.desk.limited(Limits(1, 10), it.now_us)
    between = it.come()
    it.now_us += told_s * S
    back = it.come()
    assert back.promised
    assert not between.promised
    for _ in range(3):
        assert not (between in it.inside and back.waits)
        it.leave(it.inside[0])
    assert it.left.index(it.asked[1]) > it.left.index(back) or back in it.inside


def test_who_comes_back_too_early_was_promised_nothing() -> None:
    it = Desked(Limits(1, 1))
    it.come()
    it.come()
    refused = it.come()
    it.now_us += it.away[refused].retry_after_s * S // 2
    assert it.away[it.come()].reason is Reason.FULL


def test_callers_of_one_tenant_are_told_different_times() -> None:
    it = Desked(Limits(1, 1))
    it.come()
    it.come()
    told = [it.away[it.come("flood", wait_s=0)].retry_after_s for _ in range(20)]
    assert told == sorted(told)
    assert told[-1] >= told[0] + 19


def test_a_line_that_is_too_long_for_what_a_call_may_wait_is_not_joined() -> None:
    it = Desked(Limits(1, 100))
    first = it.come()
    it.now_us += 10 * S
    it.leave(first)
    it.come()
    joined = [it.come(wait_s=5) for _ in range(30)]
    late = [visit for visit in joined if visit in it.away]
    assert {it.away[visit].reason for visit in late} == {Reason.TOO_LATE}
    assert joined[0].waits
    assert len(late) >= 20


def test_a_call_that_can_no_longer_keep_its_promise_is_sent_away_not_started() -> None:
    it = Desked(Limits(1, 10, PACE))
    running = it.come()
    waits = it.come()
    it.now_us = it.desk.start_by_us(waits) + 1
    it.leave(running)
    assert it.away[waits].reason is Reason.TOO_LATE
    assert waits.entered_us == NEVER_US
    assert it.desk.inside == 0


def test_a_pace_that_comes_while_calls_run_counts_them() -> None:
    """They leave as they came: whatever the engine says then, an idle server takes any call."""
    it = Desked(Limits(4, 10))
    running = [it.come(tokens=1_000) for _ in range(4)]
    it.desk.limited(Limits(4, 10, PACE), it.now_us)
    for visit in running[:3]:
        it.now_us += S
        it.desk.pressed()
        it.leave(visit)
    it.come(tokens=50)
    it.now_us += S
    it.desk.pressed()
    it.leave(running[3])
    it.leave(it.inside[0])
    assert it.come(tokens=2_000) in it.inside


def test_a_pace_that_goes_and_comes_back_forgets_the_prompts_of_before() -> None:
    it = Desked(Limits(4, 10, PACE))
    reading = it.come(tokens=1_000)
    it.desk.limited(Limits(4, 10), it.now_us)
    it.desk.limited(Limits(4, 10, PACE), it.now_us)
    it.now_us += S
    it.desk.first(reading, it.now_us)
    it.leave(reading)
    taught = it.come(tokens=800)
    it.now_us += S
    it.desk.first(taught, it.now_us)
    assert it.come(tokens=900) in it.inside
    assert it.come(tokens=900).waits, "two such prompts at once are too many to read"


def test_refusals_are_remembered_for_two_turns_and_no_longer() -> None:
    seen = Refusals()
    assert seen.in_turn(0) == 0
    for number in range(10):
        seen.add(number)
    assert seen.in_turn(TURN_US - 1) == 10
    seen.add(TURN_US)
    assert seen.in_turn(TURN_US) == 10
    assert seen.in_turn(2 * TURN_US) == 1
    assert seen.in_turn(4 * TURN_US) == 0


@pytest.mark.parametrize("seconds", [0, 1, 3_600])
def test_leaving_twice_or_without_having_come_changes_nothing(seconds: int) -> None:
    it = Desked(Limits(2, 2))
    stays, gone = it.come(), it.come()
    it.now_us += seconds * S
    it.leave(gone)
    it.desk.leave(gone, it.now_us)
    it.desk.leave(Visit("x", 0, 1, 1, 1), it.now_us)
    it.desk.first(gone, it.now_us)
    assert (it.desk.inside, it.inside) == (1, [stays])
    assert gone.first_us == NEVER_US
