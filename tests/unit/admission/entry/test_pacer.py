"""What moves the limit, what does not, and what else a call must fit into."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.admission.entry.pacer import SAMPLE_EVERY_US, Pacer
from tokenbooth.admission.entry.rules import MEASURED_TOKENS, TAIL_CALLS
from tokenbooth.admission.entry.values import Pace, Visit

S = 1_000_000
PACE = Pace(2 * S, 50_000, 2, 16)


def progress_of(written: dict[Visit, int], visit: Visit) -> Callable[[], int]:
    return lambda: written[visit]


class Engine:
    """Calls inside that write at a speed which a test sets."""

    def __init__(self, calls: int, pace: Pace = PACE, tokens: int = 10) -> None:
        self.pacer = Pacer(pace)
        self.now_us = S
        self.written: dict[Visit, int] = {}
        for _ in range(calls):
            self.enter(tokens)

    @property
    def inside(self) -> list[Visit]:
        return list(self.written)

    def enter(self, tokens: int = 10) -> Visit:
        visit = Visit("a", 2, tokens, tokens, S, entered_us=self.now_us)
        self.written[visit] = 0
        visit.progress = progress_of(self.written, visit)
        self.pacer.entered(visit)
        return visit

    def read(self, took_us: int = 1_000) -> None:
        self.now_us += took_us
        for visit in self.inside:
            if visit.first_us < 0:
                visit.first_us = self.now_us
                self.pacer.first(visit, self.now_us)

    def leave(self, visit: Visit) -> None:
        self.pacer.left(visit, self.now_us)
        del self.written[visit]

    def write(self, tokens: int, each_us: int, who: list[Visit] | None = None) -> None:
        self.now_us += tokens * each_us
        for visit in self.inside if who is None else who:
            self.written[visit] += tokens

    def samples(self, count: int, each_us: int, *, full: bool = True) -> None:
        for _ in range(count):
            self.write(MEASURED_TOKENS, each_us)
            self.pacer.full = full
            self.pacer.sample(self.inside, self.now_us)


def running(calls: int, pace: Pace = PACE) -> Engine:
    engine = Engine(calls, pace)
    engine.read()
    return engine


def test_a_deployment_begins_at_its_ceiling() -> None:
    assert Pacer(PACE).limit == 16


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 500), st.booleans()), max_size=25))
def test_whatever_the_engine_does_the_limit_stays_within_floor_and_ceiling(
    speeds: list[tuple[int, bool]],
) -> None:
    engine = running(8)
    for each_ms, full in speeds:
        engine.samples(1, each_ms * 1_000, full=full)
        assert PACE.floor <= engine.pacer.limit <= PACE.ceiling


def test_slow_tokens_lower_it_and_fast_ones_raise_it_again_while_somebody_wants_in() -> None:
    engine = running(16)
    engine.samples(20, 100_000)
    low = engine.pacer.limit
    assert low < 16
    engine.samples(3, 10_000, full=False)
    assert engine.pacer.limit == low, "nobody was held back, so nothing asks for more"
    engine.samples(60, 10_000)
    assert engine.pacer.limit == 16


def test_nothing_grows_while_the_engine_is_short_of_cache() -> None:
    engine = running(16)
    engine.samples(20, 100_000)
    engine.samples(8, 10_000, full=False)
    low = engine.pacer.limit
    for _ in range(20):
        engine.pacer.pressed()
        engine.samples(1, 10_000)
    assert engine.pacer.limit == low
    engine.samples(10, 10_000)
    assert engine.pacer.limit > low


def test_prompts_that_are_read_slowly_do_not_move_it() -> None:
    engine = Engine(16)
    for _ in range(40):
        engine.now_us += 10 * S
        engine.pacer.full = True
        engine.pacer.sample(engine.inside, engine.now_us)
    engine.read(10 * S)
    engine.pacer.sample(engine.inside, engine.now_us)
    assert engine.pacer.limit == 16


def test_the_median_call_decides_so_a_few_who_stall_do_not() -> None:
    engine = running(9)
    engine.write(MEASURED_TOKENS, 20_000)
    engine.pacer.sample(engine.inside, engine.now_us)
    for _ in range(30):
        engine.write(MEASURED_TOKENS, 20_000, engine.inside[:5])
        engine.pacer.sample(engine.inside, engine.now_us)
    assert engine.pacer.limit == 16
    for _ in range(30):
        engine.write(MEASURED_TOKENS, 20_000, engine.inside[:4])
        engine.pacer.sample(engine.inside, engine.now_us)
    assert engine.pacer.limit < 16


def test_it_asks_to_be_shown_the_calls_twice_a_second() -> None:
    engine = running(2)
    engine.pacer.sample(engine.inside, engine.now_us)
    assert engine.pacer.sample_due_us == engine.now_us + SAMPLE_EVERY_US


def test_an_empty_deployment_moves_nothing() -> None:
    pacer = Pacer(PACE)
    for number in range(10):
        pacer.full = True
        pacer.sample((), number * S)
    assert pacer.limit == 16


@pytest.mark.parametrize(
    ("pace", "limit"),
    [
        (replace(PACE, ceiling=4), 4),
        (replace(PACE, ceiling=32), 32),
        (replace(PACE, floor=16), 16),
        (PACE, 16),
    ],
)
def test_other_bounds_hold_at_once(pace: Pace, limit: int) -> None:
    pacer = Pacer(PACE)
    pacer.bounded(pace)
    assert (pacer.limit, pacer.pace) == (limit, pace)


def test_a_higher_floor_lifts_a_limit_that_had_fallen() -> None:
    engine = running(16)
    for _ in range(20):
        engine.samples(1, 400_000)
        for visit in engine.inside[engine.pacer.limit :]:
            engine.leave(visit)
    assert engine.pacer.limit == PACE.floor
    engine.pacer.bounded(replace(PACE, floor=6))
    assert engine.pacer.limit == 6
    engine.pacer.bounded(replace(PACE, floor=6, tpot_us=10_000))
    assert engine.pacer.limit == 6


def test_calls_that_end_late_lower_the_aim_and_so_the_limit() -> None:
    """Tokens at the promised speed pass for good until whole calls were seen to be late."""
    limits = []
    for late_milli in (500, 1_500):
        engine = running(16)
        for _ in range(4 * TAIL_CALLS):
            visit = engine.enter()
            engine.read()
            engine.written[visit] = 101
            engine.now_us += 100 * PACE.tpot_us * late_milli // 1_000
            engine.leave(visit)
        engine.samples(20, 45_000, full=False)
        limits.append(engine.pacer.limit)
    assert limits[0] == 16 > limits[1]


def test_calls_of_a_few_tokens_say_nothing_about_the_speed() -> None:
    engine = running(16)
    for _ in range(2 * TAIL_CALLS):
        visit = engine.enter()
        engine.read()
        engine.written[visit] = MEASURED_TOKENS
        engine.now_us += 100 * S
        engine.leave(visit)
    engine.samples(20, 45_000)
    assert engine.pacer.limit == 16


def test_only_so_many_prompt_tokens_are_read_at_once_and_alone_any_prompt_is() -> None:
    engine = Engine(1, tokens=800)
    engine.read(S)
    huge, small = (Visit("a", 2, tokens, 10, S) for tokens in (10**6, 600))
    assert engine.pacer.takes(huge, spare=False)
    engine.enter(600)
    assert not engine.pacer.takes(small, spare=False)
    assert engine.pacer.takes(replace(small, input_tokens=400), spare=False)
    assert not engine.pacer.takes(replace(small, input_tokens=400), spare=True)
    engine.read(600_000)
    assert engine.pacer.takes(small, spare=True)


def test_a_prompt_that_was_never_read_makes_room_when_its_call_ends() -> None:
    engine = Engine(1, tokens=800)
    engine.read(S)
    gone = engine.enter(900)
    assert not engine.pacer.takes(Visit("a", 2, 800, 1, S), spare=False)
    engine.leave(gone)
    assert engine.pacer.reading_tokens == 0
    assert engine.pacer.takes(Visit("a", 2, 800, 1, S), spare=False)


def test_the_first_token_is_foreseen_on_the_safe_side_and_leaves_time_to_start() -> None:
    engine = Engine(1, tokens=800)
    assert engine.pacer.first_after_us(Visit("a", 2, 800, 1, S)) == 0
    engine.read(S)
    like, huge = Visit("a", 2, 300, 1, S), Visit("a", 2, 10**7, 1, S)
    alone_us = engine.pacer.alone_us(like)
    assert alone_us == 500_000
    assert alone_us < engine.pacer.first_after_us(like)
    engine.enter(400)
    assert engine.pacer.alone_us(like) == alone_us
    for foreseen_us in (engine.pacer.alone_us(huge), engine.pacer.first_after_us(huge)):
        assert foreseen_us == PACE.ttft_us * 9 // 10


def test_after_a_shortage_fewer_tokens_are_let_in_and_with_none_any_call() -> None:
    engine = running(10)
    engine.pacer.pressed()
    engine.samples(1, 10_000)
    for visit in engine.inside[:2]:
        engine.leave(visit)
    like = Visit("a", 2, 10, 10, S)
    assert engine.pacer.takes(like, spare=False)
    assert not engine.pacer.takes(like, spare=True), "flex leaves a quarter to the others"
    engine.enter()
    assert not engine.pacer.takes(like, spare=False)
    for visit in engine.inside:
        engine.leave(visit)
    assert engine.pacer.takes(Visit("a", 2, 10**5, 10**5, S), spare=False)


def test_a_shortage_while_little_was_inside_does_not_keep_it_little_for_ever() -> None:
    engine = running(1)
    engine.pacer.pressed()
    engine.samples(1, 10_000)
    like = Visit("a", 2, 10, 10, S)
    assert not engine.pacer.takes(like, spare=False)
    for _ in range(200):
        if engine.pacer.takes(like, spare=False):
            break
        engine.samples(1, 10_000)
    assert engine.pacer.takes(like, spare=False)
