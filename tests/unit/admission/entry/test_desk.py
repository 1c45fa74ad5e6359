"""The limit, and what it is moved by; what is around it is proved through the door and by the
simulator."""

from dataclasses import replace

from tokenbooth.admission.entry.desk import Desk
from tokenbooth.admission.entry.values import Limits, Pace, Reason, Refusal, Visit

S = 1_000_000
PACE = Pace(2 * S, 50_000, 2, 16)
LIMITS = Limits(16, 100, PACE)


class Floor:
    """A desk on a clock that is moved by hand, before an engine of one's own making."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.now_us = S
        self.desk = Desk(limits, self)
        self.running: dict[Visit, int] = {}
        self.away: list[tuple[Visit, Reason]] = []

    def entered(self, visit: Visit) -> None:
        self.running[visit] = 0

    def refused(self, visit: Visit, refusal: Refusal) -> None:
        self.away.append((visit, refusal.reason))

    def come(self, tenant: str = "a", tokens: int = 10, rank: int = 2) -> Visit:
        visit = Visit(tenant, rank, tokens, tokens, 3600 * S)
        visit.progress = lambda: self.running.get(visit, 0)
        refusal = self.desk.ask(visit, self.now_us)
        if refusal is not None:
            self.refused(visit, refusal)
        elif not visit.waits:
            self.entered(visit)
        return visit

    def begun(self, count: int, **ask: int) -> None:
        for _ in range(count):
            visit = self.come(**ask)  # type: ignore[arg-type]
            self.now_us += 1_000
            self.desk.first(visit, self.now_us)

    def steps(self, count: int, each_us: int, turn: int = 10) -> None:
        """Every call writes so many tokens; one leaves and another comes now and then."""
        for number in range(count):
            self.now_us += each_us
            for visit in list(self.running):
                self.running[visit] += 1
                if visit.first_us < 0:
                    self.desk.first(visit, self.now_us)
            if number % turn == turn - 1:
                self.turnover()

    def turnover(self) -> None:
        oldest = next(iter(self.running))
        self.desk.leave(oldest, self.now_us)
        del self.running[oldest]
        visit = self.come()
        if visit in self.running:
            self.desk.first(visit, self.now_us)


def test_the_limit_falls_when_tokens_come_late_and_never_under_its_floor() -> None:
    floor = Floor()
    floor.begun(16)
    floor.steps(100, 45_000)
    assert floor.desk.limit == 16
    floor.steps(100, 80_000)
    assert 2 <= floor.desk.limit < 16
    floor.steps(1500, 500_000)
    assert floor.desk.limit == 2


def test_the_limit_grows_again_up_to_its_ceiling_if_calls_want_in() -> None:
    floor = Floor()
    floor.begun(16)
    floor.steps(300, 90_000)
    assert floor.desk.limit < 16
    for visit in list(floor.running)[4:]:
        floor.desk.leave(visit, floor.now_us)
        del floor.running[visit]
    for _ in range(60):
        for _ in range(4):
            floor.come()
            floor.steps(30, 20_000, turn=31)
        floor.turnover()
    assert floor.desk.limit == 16


def test_waits_and_late_first_tokens_do_not_move_the_limit() -> None:
    """A queue that is long misses promises; fewer places would make it longer."""
    floor = Floor()
    floor.begun(16)
    late = [floor.come() for _ in range(30)]
    floor.now_us += 60 * S
    floor.steps(200, 40_000)
    assert floor.desk.limit == 16
    assert {reason for visit, reason in floor.away if visit in late} == {Reason.TOO_LATE}


def test_short_calls_and_readers_that_stop_reading_do_not_move_the_limit() -> None:
    floor = Floor()
    floor.begun(16)
    for _ in range(300):
        floor.now_us += 200_000
        for visit in list(floor.running)[:16]:
            floor.running[visit] = min(19, floor.running[visit] + 1)
        floor.turnover()
    assert floor.desk.limit == 16
    stuck = Floor()
    stuck.begun(16)
    stuck.steps(40, 40_000)
    for number in range(400):
        stuck.now_us += 40_000
        for visit in list(stuck.running)[5:]:
            stuck.running[visit] += 1
        if number % 10 == 9:
            stuck.desk.leave(last := list(stuck.running)[-1], stuck.now_us)
            del stuck.running[last]
            stuck.desk.first(stuck.come(), stuck.now_us)
    assert stuck.desk.limit == 16


def test_an_engine_short_of_cache_gets_fewer_tokens_and_later_more_again() -> None:
    floor = Floor()
    floor.begun(10)
    tokens = 10 * 20
    floor.desk.pressed()
    floor.now_us += S
    floor.desk.leave(next(iter(floor.running)), floor.now_us)
    del floor.running[next(iter(floor.running))]
    # 15 of 16 parts of what was inside: the next that fits comes in, the one after it waits.
    waits = [floor.come().waits for _ in range(3)]
    assert waits[-1]
    assert floor.desk.inside * 20 < tokens
    floor.steps(2_000, 40_000)
    assert floor.desk.inside > 10


def test_flex_leaves_what_others_need_and_an_idle_server_takes_it() -> None:
    floor = Floor(Limits(4, 50))
    flex = [floor.come("flex", rank=4) for _ in range(4)]
    assert all(visit in floor.running for visit in flex)
    for _ in range(10):
        assert floor.come("customer").waits
    for visit in flex:
        floor.desk.leave(visit, floor.now_us)
        del floor.running[visit]
    assert floor.desk.inside == 4
    for visit in list(floor.running)[:2]:
        floor.desk.leave(visit, floor.now_us)
    served = [visit.tenant for visit in floor.running]
    assert served.count("customer") == len(served)
    assert floor.come("flex", rank=4).waits


def test_a_tenant_past_its_part_does_not_stand_before_the_others() -> None:
    floor = Floor(Limits(4, 50))
    polite = floor.come("polite")
    for _ in range(30):
        floor.come("flood")
    for _ in range(12):
        other = floor.come("polite")
        oldest = next(iter(floor.running))
        floor.desk.leave(oldest, floor.now_us)
        floor.running.pop(oldest, None)
        assert other in floor.running, "the next place is for the one that has less"
        floor.desk.leave(other, floor.now_us)
        del floor.running[other]
    assert polite.entered_us == S


def test_new_limits_with_and_without_a_pace() -> None:
    floor = Floor(Limits(2, 10))
    for _ in range(4):
        floor.come()
    floor.desk.limited(Limits(2, 10), floor.now_us)
    floor.desk.pressed()
    assert (floor.desk.inside, floor.desk.waiting, floor.desk.limit) == (2, 2, 2)
    floor.desk.limited(Limits(8, 10, replace(PACE, ceiling=3)), floor.now_us)
    assert (floor.desk.inside, floor.desk.limit) == (3, 3)
    floor.desk.limited(Limits(8, 10, replace(PACE, ceiling=5)), floor.now_us)
    assert (floor.desk.inside, floor.desk.limit) == (4, 5)
    floor.desk.limited(Limits(8, 10, replace(PACE, ceiling=2)), floor.now_us)
    assert floor.desk.limit == 2
    floor.desk.limited(Limits(8, 10), floor.now_us)
    assert floor.desk.limit == 8
    stranger = Visit("x", 2, 1, 1, 1)
    floor.desk.first(stranger, floor.now_us)
    floor.desk.leave(stranger, floor.now_us)
    assert floor.desk.give_up(stranger, floor.now_us) is None
