"""The usual ways to stand before an engine, beside which the product's desk is put."""

from collections.abc import Callable

from tokenbooth.proving.serving.open_loop import good
from tokenbooth.proving.serving.policies import QUEUE_MAX, AimdOnMisses, AtTheDesk, Fifo, Policy
from tokenbooth.proving.serving.server import Call, Server
from tokenbooth.proving.serving.shape import drawn_serving

SERVING = drawn_serving(2)
SLOTS = SERVING.shape.slots


class Scene:
    def __init__(self, make: "Callable[..., Policy]") -> None:
        self.away: list[tuple[Call, int]] = []
        self.server = Server(SERVING.shape, self)
        self.policy = make(SERVING, self.server, self.refused)

    def refused(self, call: Call, now_us: int, retry_after_s: int) -> None:
        self.away.append((call, retry_after_s))

    def first(self, call: Call) -> None:
        self.policy.first(call, self.server.now_us)

    def ended(self, call: Call) -> None:
        self.policy.ended(call, self.server.now_us)

    def come(self, count: int, tokens: int = 10) -> list[Call]:
        calls = [Call(self.server.now_us, tokens, tokens, tokens) for _ in range(count)]
        for each in calls:
            self.policy.arrived(each, self.server.now_us)
        return calls


def test_a_plain_queue_is_bounded_and_everybody_in_it_is_served() -> None:
    it = Scene(Fifo)
    calls = it.come(SLOTS + QUEUE_MAX + 5)
    assert it.away == [(each, 1) for each in calls[-5:]]
    it.server.advance(600_000_000)
    assert all(each.end_us > 0 for each in calls[:-5])


def test_a_limit_by_misses_falls_with_each_and_never_under_one() -> None:
    policy = AimdOnMisses(SERVING, Server(SERVING.shape, Scene(Fifo)), lambda *_: None)
    kept, missed = Call(0, 1, 1, 1), Call(0, 1, 1, 1)
    kept.first_us = kept.end_us = 1
    missed.first_us = missed.end_us = 10**9
    assert good(kept, SERVING.slo) > good(missed, SERVING.slo)
    policy.ended(missed, 0)
    assert policy.limit == SLOTS * 900 // 1000
    for _ in range(100):
        policy.ended(missed, 0)
    assert policy.limit == 1
    for _ in range(SLOTS**2):
        policy.ended(kept, 0)
    assert policy.limit == SLOTS


def test_the_desk_forgets_every_call_that_is_over() -> None:
    it = Scene(AtTheDesk)
    it.come(600)
    it.server.advance(3_600_000_000)
    assert isinstance(it.policy, AtTheDesk)
    assert (it.policy.desk.inside, it.policy.desk.waiting) == (0, 0)
    assert not it.policy._visits
    assert not it.policy._calls
    assert it.away
    assert all(told >= 1 for _, told in it.away)
