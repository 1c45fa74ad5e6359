from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.proving.serving.open_loop import good, play, poisson, run, tpot_us, ttft_us
from tokenbooth.proving.serving.server import NEVER_US, Call, Server
from tokenbooth.proving.serving.shape import Lengths, ServerShape, drawn_serving

PLAIN = ServerShape(
    slots=4,
    step_us=1_000,
    step_call_us=100,
    prefill_token_ns=10_000,
    chunk_tokens=50,
    kv_tokens=10_000,
    preempts=True,
)


class Heard:
    def __init__(self) -> None:
        self.firsts: list[Call] = []
        self.ends: list[Call] = []

    def first(self, call: Call) -> None:
        self.firsts.append(call)

    def ended(self, call: Call) -> None:
        self.ends.append(call)


def call(at_us: int, input_tokens: int, output_tokens: int) -> Call:
    return Call(at_us, input_tokens, output_tokens, output_tokens)


def some(seed: int, count: int, load_milli: int = 1000) -> list[Call]:
    serving = drawn_serving(seed)
    return list(islice(poisson(Random(seed), serving.workload, load_milli), count))


def test_a_call_alone_takes_its_prompt_and_its_steps() -> None:
    (only,) = run(PLAIN, [call(5_000, 120, 11)])
    # Chunks of 50, 50 and 20 tokens: three steps; then ten steps with one call each.
    assert only.first_us == 5_000 + 3 * 1_000 + 120 * 10
    assert only.end_us == only.first_us + 10 * 1_100
    assert (tpot_us(only), ttft_us(only), only.batch_max) == (1_100, 4_200, 1)


def test_a_step_is_slower_for_the_calls_and_prompts_beside_it() -> None:
    early, late = sorted(
        run(PLAIN, [call(0, 50, 101), call(20_000, 49, 2)]), key=lambda c: c.sent_us
    )
    # The late call is read in one step beside one that decodes, then decodes one step of two.
    assert late.end_us - late.first_us == 1_200
    assert early.end_us - early.first_us == 98 * 1_100 + (1_100 + 490) + 1_200
    assert (early.batch_max, late.batch_max, early.batch_mean) == (2, 2, 1)


def test_no_more_calls_than_slots_are_inside() -> None:
    heard = Heard()
    server = Server(PLAIN, heard)
    for _ in range(6):
        server.submit(call(0, 10, 100))
    server.advance(50_000)
    assert (server.inside, server.waiting) == (4, 2)
    server.advance(10_000_000)
    assert (server.inside, server.waiting, len(heard.ends)) == (0, 0, 6)
    assert server.now_us == 10_000_000


@pytest.mark.parametrize("preempts", [True, False])
def test_the_cache_is_never_overrun_and_every_call_gets_all_its_tokens(preempts: bool) -> None:
    heard = Heard()
    server = Server(replace(PLAIN, slots=16, kv_tokens=600, preempts=preempts), heard)
    calls = [call(0, 20, 100) for _ in range(20)]
    for each in calls:
        server.submit(each)
    at_us = 0
    while server.inside or server.waiting:
        at_us += 700
        server.advance(at_us)
        assert 0 <= server.kv_milli <= 1000
    assert server.kv_milli == 0
    assert len(heard.ends) == len(heard.firsts) == 20
    assert {each.produced for each in calls} == {100}
    assert (server.preemptions > 0) is preempts
    assert sum(each.preemptions for each in calls) == server.preemptions


def test_a_cancelled_call_frees_its_place_wherever_it_is() -> None:
    heard = Heard()
    server = Server(replace(PLAIN, slots=2), heard)
    decoding, reading, waiting, stays = (
        call(0, 10, 1000),
        call(0, 5_000, 10),
        call(0, 10, 10),
        call(0, 10, 10),
    )
    for each in (decoding, reading, waiting, stays):
        server.submit(each)
    server.advance(10_000)
    assert 0 < server.produced(decoding) < 1000
    for each in (decoding, reading, waiting, waiting):
        server.cancel(each)
    server.advance(1_000_000)
    assert heard.ends == [stays]
    assert (server.inside, server.kv_milli) == (0, 0)
    assert decoding.end_us == NEVER_US
    server.cancel(stays)
    assert not stays.cancelled


def test_a_watcher_may_cancel_and_submit_from_where_it_hears() -> None:
    class Chain(Heard):
        def first(self, call: Call) -> None:
            super().first(call)
            if len(self.firsts) < 5:
                server.cancel(call)
                server.submit(Call(server.now_us, 10, 5, 5))

    chain = Chain()
    server = Server(PLAIN, chain)
    server.submit(call(0, 10, 1))
    server.submit(call(0, 10, 5))
    server.advance(1_000_000)
    # The call of one token ended with its first, so it could not be cancelled any more.
    assert (len(chain.firsts), len(chain.ends)) == (6, 3)


@settings(max_examples=15)
@given(st.integers(0, 50), st.integers(1, 40))
def test_many_small_advances_tell_the_same_as_few_large_ones(seed: int, pace_ms: int) -> None:
    serving = drawn_serving(seed)

    def ends(stride_us: int) -> list[tuple[int, int, int, int, int]]:
        heard = Heard()
        server, at_us = Server(serving.shape, heard), 0
        for each in some(seed, 25, 4_000):
            while at_us + stride_us < each.sent_us:
                at_us += stride_us
                server.advance(at_us)
            server.advance(each.sent_us)
            server.submit(each)
        while server.inside or server.waiting:
            at_us += stride_us
            server.advance(at_us)
        return [(c.sent_us, c.first_us, c.end_us, c.batch_max, c.batch_mean) for c in heard.ends]

    assert ends(pace_ms * 5_000) == ends(10**9)


def test_a_load_is_the_same_for_its_seed_and_ends_in_order() -> None:
    shape = drawn_serving(3).shape
    first, again, other = (run(shape, some(seed, 200)) for seed in (3, 3, 4))
    assert [c.end_us for c in first] == [c.end_us for c in again]
    assert [c.end_us for c in first] != [c.end_us for c in other]
    assert [c.end_us for c in first] == sorted(c.end_us for c in first)


def test_a_load_without_an_end_may_be_left() -> None:
    serving = drawn_serving(5)

    def endless() -> Iterator[Call]:
        yield from poisson(Random(1), serving.workload, 2_000)

    assert len(list(islice(play(serving.shape, endless()), 30))) == 30


def test_more_load_keeps_fewer_promises() -> None:
    serving = drawn_serving(2)

    def kept(load: int) -> int:
        calls = islice(poisson(Random(2), serving.workload, load), 600)
        return sum(good(each, serving.slo) for each in run(serving.shape, calls))

    assert kept(200) == 600 > kept(60_000)


def test_lengths_keep_their_bounds_and_their_mean() -> None:
    lengths, random = Lengths(100, 600, 400), Random(1)
    drawn = [lengths.draw(random) for _ in range(4_000)]
    assert min(drawn) >= 1
    assert max(drawn) == 400
    assert abs(sum(drawn) // 4_000 - lengths.mean_tokens()) < 8
    assert Lengths(1, 3_000, 5).draw(Random(0)) >= 1
