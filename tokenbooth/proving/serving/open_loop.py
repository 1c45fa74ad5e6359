"""Calls that come when they come, however the server fares: the load of a capacity test."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from tokenbooth.proving.serving.server import NEVER_US, Call, Server
from tokenbooth.proving.serving.shape import ServerShape, Slo, Workload

_US_PER_S = 1_000_000


def poisson(random: Random, workload: Workload, calls_per_ks: int) -> Iterator[Call]:
    """Calls without an end, at ``calls_per_ks`` in 1,000 seconds, in the order of their sending."""
    at_us, mean_gap_us = 0.0, 1000 * _US_PER_S / calls_per_ks
    while True:
        at_us += random.expovariate(1) * mean_gap_us
        yield drawn_call(random, workload, round(at_us))


def drawn_call(random: Random, workload: Workload, sent_us: int) -> Call:
    """It allows as many output tokens as any call of its workload gets."""
    input_tokens, output_tokens = workload.input.draw(random), workload.output.draw(random)
    return Call(sent_us, input_tokens, output_tokens, workload.output.tokens_max)


@dataclass(slots=True)
class _Ended:
    calls: list[Call] = field(default_factory=list)

    def first(self, call: Call) -> None:
        """What a call is worth is known at its end."""

    def ended(self, call: Call) -> None:
        self.calls.append(call)


def play(shape: ServerShape, calls: Iterable[Call]) -> Iterator[Call]:
    """Run a load and give each call at its end, in the order of the ends.

    Stop taking and nothing more is played; with a load that has an end all of it is played out.
    """
    seen = _Ended()
    server, at_us = Server(shape, seen), 0
    for call in calls:
        at_us = call.sent_us
        server.advance(at_us)
        server.submit(call)
        if seen.calls:
            yield from seen.calls
            seen.calls.clear()
    while server.inside or server.waiting:
        at_us += _US_PER_S
        server.advance(at_us)
        yield from seen.calls
        seen.calls.clear()


def run(shape: ServerShape, calls: Iterable[Call]) -> list[Call]:
    """The whole load, in the order of its ends; without an end in sight, use ``play``."""
    return list(play(shape, calls))


def ttft_us(call: Call) -> int:
    return call.first_us - call.sent_us


def tpot_us(call: Call) -> int:
    """Mean time of a token after the first; 0 for a call with one token."""
    return (call.end_us - call.first_us) // max(1, call.output_tokens - 1)


def good(call: Call, slo: Slo) -> bool:
    """Whether an ended call kept both promises."""
    return call.end_us != NEVER_US and ttft_us(call) <= slo.ttft_us and tpot_us(call) <= slo.tpot_us
