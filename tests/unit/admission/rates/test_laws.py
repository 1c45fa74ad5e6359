"""The book against a model that remembers every call ever made."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.admission.rates.service import RateBook, RateTicket
from tokenbooth.core.caller import Caller, CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

MINUTE_US = 60_000_000
KEYS = (("k1", "o1"), ("k2", "o1"), ("k3", "o2"))


@dataclass
class Call:
    at_us: int
    owners: tuple[str, str]
    tokens: int
    ticket: RateTicket
    open: bool = True


@dataclass
class Scene:
    """``step`` drives book and model together and compares them after each step."""

    limits: CallLimits
    now_us: int
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = RateBook(lambda: self.now_us)

    def caller(self, key: int) -> Caller:
        key_id, org_id = KEYS[key]
        return Caller(org_id, "p", key_id, frozenset(), None, self.limits, self.limits)

    def counted(self, owner: str, keep_us: int) -> list[Call]:
        """The owner's calls of the last ``keep_us``, both ends included."""
        return [
            call
            for call in self.calls
            if owner in call.owners and self.now_us - call.at_us <= keep_us
        ]

    def admit(self, key: int, tokens: int) -> None:
        owners = KEYS[key]
        try:
            ticket = self.book.admit(self.caller(key), tokens)
        except Problem as problem:
            self.must_refuse(owners, tokens, problem)
            return
        self.calls.append(Call(self.now_us, owners, tokens, ticket))
        for owner in owners:
            self.must_hold(owner)

    def must_hold(self, owner: str) -> None:
        """Nobody is ever over a limit, in the 60 seconds that end now."""
        calls = self.counted(owner, MINUTE_US)
        limits = self.limits
        assert len(calls) <= (limits.requests_per_minute or len(calls))
        assert sum(c.tokens for c in calls) <= (limits.tokens_per_minute or 10**9)
        running = [call for call in self.calls if call.open and owner in call.owners]
        assert len(running) <= (limits.parallel_calls or len(running))

    def must_refuse(self, owners: tuple[str, str], tokens: int, problem: Problem) -> None:
        """A refusal has a reason, at most one second older than the window."""
        limits = self.limits
        if problem.code is Code.INVALID_VALUE:
            assert tokens > (limits.tokens_per_minute or 0) > 0
            return
        assert problem.retry_after_s is not None
        assert 1 <= problem.retry_after_s <= 61
        reasons = []
        for owner in owners:
            calls = self.counted(owner, MINUTE_US + 1_000_000)
            running = [call for call in self.calls if call.open and owner in call.owners]
            reasons += [
                limits.requests_per_minute is not None and len(calls) >= limits.requests_per_minute,
                limits.tokens_per_minute is not None
                and sum(c.tokens for c in calls) + tokens > limits.tokens_per_minute,
                limits.parallel_calls is not None and len(running) >= limits.parallel_calls,
            ]
        assert any(reasons)

    def finish(self, number: int, used: int, *, void: bool) -> None:
        open_calls = [call for call in self.calls if call.open]
        if not open_calls:
            return
        call = open_calls[number % len(open_calls)]
        call.open = False
        if void:
            call.ticket.void()
            self.calls.remove(call)
        else:
            call.ticket.close(used)
            call.tokens = min(call.tokens, used)


OPTIONAL = st.none() | st.integers(1, 6)
STEP = st.one_of(
    st.tuples(st.just("admit"), st.integers(0, 2), st.integers(0, 30)),
    st.tuples(st.just("admit"), st.integers(0, 2), st.integers(0, 5)),
    st.tuples(st.just("close"), st.integers(0, 9), st.integers(0, 30)),
    st.tuples(st.just("void"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("wait"), st.integers(0, 3_000_000), st.just(0)),
    st.tuples(st.just("wait"), st.integers(20_000_000, 62_000_000), st.just(0)),
)
STEPS = st.lists(STEP, min_size=30, max_size=60)


@settings(max_examples=80, deadline=None)
@given(
    st.builds(CallLimits, OPTIONAL, st.none() | st.integers(1, 60), OPTIONAL),
    st.integers(0, 5_000_000),
    STEPS,
)
def test_no_sixty_seconds_ever_hold_more_than_the_limit(
    limits: CallLimits, start_us: int, steps: list[tuple[str, int, int]]
) -> None:
    scene = Scene(limits, start_us)
    for what, number, amount in steps:
        if what == "admit":
            scene.admit(number, amount)
        elif what == "wait":
            scene.now_us += number
        else:
            scene.finish(number, amount, void=what == "void")


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(0, 999_999),
    st.lists(st.integers(0, 5_000_000), min_size=5, max_size=25),
)
def test_the_promised_wait_is_enough(limit: int, start_us: int, gaps_us: list[int]) -> None:
    scene = Scene(CallLimits(requests_per_minute=limit), start_us)
    who = scene.caller(0)
    for gap_us in gaps_us:
        scene.now_us += gap_us
        try:
            scene.book.admit(who, 0).close(0)
        except Problem as problem:
            scene.now_us += (problem.retry_after_s or 0) * 1_000_000
            scene.book.admit(who, 0).close(0)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 3_000_000), STEPS)
def test_what_is_shown_as_left_can_be_taken(
    start_us: int, steps: list[tuple[str, int, int]]
) -> None:
    scene = Scene(CallLimits(requests_per_minute=5, tokens_per_minute=50), start_us)
    for what, key, amount in steps:
        if what == "wait":
            scene.now_us += key
        if what != "admit":
            continue
        state = scene.book.state(scene.caller(key))
        admitted = len(scene.calls)
        scene.admit(key, min(amount, state.tokens.remaining))
        assert len(scene.calls) == admitted + (state.requests.remaining > 0)
