"""The course of one search: what to run next, by all that was seen."""

import math
from collections.abc import Sequence

from tokenbooth.verify.search.rules import (
    between,
    is_futile,
    judge,
    nearer,
    slack_ppm,
    sprt,
    warm_calls,
)
from tokenbooth.verify.search.values import (
    PPM,
    Judgement,
    Promise,
    Purpose,
    Run,
    SearchPlan,
    Seen,
)

PROBES_MAX = 24
GROW = 2


class Search:
    """``run`` says what to do now, ``None`` when it is over; ``ended`` takes what came of it.

    The driver sends the calls of a run as they are due, gives the outcomes of those that count to
    ``enough`` in the order of sending, and stops the run when it says so.
    """

    def __init__(self, promise: Promise, plan: SearchPlan, first_per_ks: int, tokens: int) -> None:
        """``tokens`` is the usual length of an answer, ``first_per_ks`` a guess at a low rate."""
        self._promise = promise
        self._plan = plan
        self._tokens = tokens
        self._low: int | None = None
        self._high: int | None = None
        self._confirms = 0
        self.seen: list[Seen] = []
        self.best: tuple[Run, Judgement] | None = None
        self.run: Run | None = self._probe(first_per_ks)

    @property
    def sent(self) -> int:
        """All calls so far, those that did not count among them."""
        return sum(seen.sent for seen in self.seen)

    def enough(self, slacks_ppm: Sequence[int]) -> bool:
        """Whether the run may stop: decided, without hope, or long enough."""
        assert self.run is not None, "the search is over"
        if len(slacks_ppm) >= self.run.calls:
            return True
        outcomes = good(slacks_ppm)
        if self.run.purpose is Purpose.PROBE:
            return sprt(outcomes, self._plan, self._calls_min) is not None
        return is_futile(outcomes, self._promise, self._plan)

    @property
    def _calls_min(self) -> int:
        return self._plan.probe_calls_min if self._high is not None else 0

    def ended(self, slacks_ppm: Sequence[int], sent: int) -> None:
        """The run is over with these calls that count; ``sent`` are all of its calls."""
        outcomes = good(slacks_ppm)
        run = self.run
        assert run is not None, "the search is over"
        if run.purpose is Purpose.PROBE:
            told = sprt(outcomes, self._plan, self._calls_min)
            passed = nearer(outcomes, self._promise) if told is None else told
            passed = passed and bool(outcomes)
        else:
            judgement = judge(outcomes, self._promise, self._plan, run.calls_per_ks)
            passed = judgement.passed
            if passed and (self.best is None or run.calls_per_ks > self.best[0].calls_per_ks):
                self.best = (run, judgement)
        slack = slack_ppm(slacks_ppm, self._promise, self._plan) if slacks_ppm else PPM
        self.seen.append(Seen(run, sent, len(outcomes), sum(outcomes), slack, passed))
        self._narrow(run, passed=passed)
        self.run = self._next()

    def _narrow(self, run: Run, *, passed: bool) -> None:
        rate = run.calls_per_ks
        if passed:
            self._low = rate if self._low is None else max(self._low, rate)
            if self._high is not None and self._high <= rate:
                self._high = None
        else:
            self._high = rate if self._high is None else min(self._high, rate)
            if self._low is not None and self._low >= rate:
                self._low = None

    def _next(self) -> Run | None:
        if not self._confirms and len(self.seen) < PROBES_MAX:
            rate = self._next_probe()
            if rate is not None:
                return self._probe(rate)
        rate = self._candidate()
        if rate is None or self._confirms >= self._plan.confirms_max:
            return None
        if self.best is None and self._left(rate) < self._cost(rate):
            # Whatever comes of it, there is no other: so it is one that will hardly fail.
            rate = rate * self._plan.last_ppm // PPM
        if self._left(rate) < 0:
            return None
        self._confirms += 1
        warm = warm_calls(self._promise, self._tokens, rate)
        return Run(Purpose.CONFIRM, rate, warm, self._plan.confirm_calls)

    def _cost(self, rate: int) -> int:
        return self._plan.confirm_calls + warm_calls(self._promise, self._tokens, rate)

    def _left(self, rate: int) -> int:
        """What is left of all calls after one more confirmation."""
        return self._plan.calls_max - self.sent - self._cost(rate)

    def _next_probe(self) -> int | None:
        """Double or halve until both ends are known, then the middle; ``None`` when close."""
        if self._high is None:
            assert self._low is not None, "a probe passes or fails"
            return self._low * GROW
        if self._low is None:
            return self._high // GROW if self._high >= GROW else None
        if self._high * PPM <= self._low * self._plan.bracket_ppm:
            return None
        return round(math.sqrt(self._low * self._high))

    def _candidate(self) -> int | None:
        confirms = [seen for seen in self.seen if seen.run.purpose is Purpose.CONFIRM]
        if not confirms:
            # Short runs end before queues have built up: they promise too much.
            middle = math.sqrt((self._low or 1) * (self._high or 1))
            return max(1, round(middle * self._plan.first_ppm / PPM))
        passed = [seen for seen in confirms if seen.passed]
        failed = [seen for seen in confirms if not seen.passed]
        return between(
            max(passed, key=_rate, default=None),
            min(failed, key=_rate, default=None),
            len(failed),
            self._plan,
        )

    def _probe(self, rate: int) -> Run:
        warm = warm_calls(self._promise, self._tokens, rate)
        return Run(Purpose.PROBE, max(1, rate), warm, self._plan.probe_calls)


def good(slacks_ppm: Sequence[int]) -> list[bool]:
    return [slack <= PPM for slack in slacks_ppm]


def _rate(seen: Seen) -> int:
    return seen.run.calls_per_ks
