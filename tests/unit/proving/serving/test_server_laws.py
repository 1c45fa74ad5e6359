"""The laws of the simulated server under any load: it never idles, overruns or forgets."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.proving.serving.open_loop import run
from tokenbooth.proving.serving.server import NEVER_US, Call, Server
from tokenbooth.proving.serving.shape import ServerShape

SHAPES = st.builds(
    ServerShape,
    slots=st.integers(1, 6),
    step_us=st.integers(500, 2_000),
    step_call_us=st.integers(1, 200),
    prefill_token_ns=st.integers(1_000, 20_000),
    chunk_tokens=st.integers(8, 200),
    kv_tokens=st.integers(300, 2_000),
    preempts=st.booleans(),
)
LOADS = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(1, 150), st.integers(1, 100)),
    min_size=1,
    max_size=25,
)
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


def calls(load: list[tuple[int, int, int]]) -> list[Call]:
    return [call(*each) for each in sorted(load)]


def played(
    shape: ServerShape,
    load: list[Call],
    seen: Callable[[Server], None],
    done: Callable[[Server], None] = lambda _: None,
) -> tuple[Server, Heard]:
    """The load to its end, with a look every half of a step; ``done`` acts at each arrival."""
    heard = Heard()
    server, at_us, coming = Server(shape, heard), 0, list(load)
    while coming or server.inside or server.waiting:
        while coming and coming[0].sent_us <= at_us:
            server.submit(coming.pop(0))
            done(server)
        at_us += shape.step_us // 2
        server.advance(at_us)
        seen(server)
        assert at_us < 5 * 10**7, "it never ends"
    return server, heard


@settings(max_examples=25)
@given(SHAPES, LOADS)
def test_slots_and_cache_are_never_overrun_and_all_is_served(
    shape: ServerShape, load: list[tuple[int, int, int]]
) -> None:
    def bounded(server: Server) -> None:
        assert server.inside <= shape.slots
        assert 0 <= server.kv_milli <= 1_000

    coming = calls(load)
    server, heard = played(shape, coming, bounded)
    assert len(heard.firsts) == len(heard.ends) == len(coming)
    assert (server.inside, server.waiting, server.kv_milli) == (0, 0, 0)
    for each in coming:
        assert each.produced == each.output_tokens
        assert each.sent_us < each.first_us <= each.end_us
        assert 1 <= each.batch_mean <= each.batch_max <= shape.slots


@settings(max_examples=25)
@given(SHAPES, LOADS)
def test_it_never_idles_while_somebody_waits(
    shape: ServerShape, load: list[tuple[int, int, int]]
) -> None:
    def busy(server: Server) -> None:
        assert server.inside or not server.waiting

    played(shape, calls(load), busy)


@settings(max_examples=25)
@given(SHAPES, LOADS)
def test_no_call_is_faster_than_it_would_be_alone(
    shape: ServerShape, load: list[tuple[int, int, int]]
) -> None:
    coming = calls(load)
    run(shape, coming)
    for each in coming:
        (alone,) = run(shape, [call(0, each.input_tokens, each.output_tokens)])
        assert each.first_us - each.sent_us >= alone.first_us
        assert each.end_us - each.sent_us >= alone.end_us
        assert alone.first_us >= each.input_tokens * shape.prefill_token_ns // 1_000


@settings(max_examples=25)
@given(SHAPES, LOADS, st.integers(0, 1_000))
def test_cancelled_calls_leave_nothing_behind_and_the_others_whole(
    shape: ServerShape, load: list[tuple[int, int, int]], seed: int
) -> None:
    random, coming = Random(seed), calls(load)
    submitted: list[Call] = []

    def hang_up(server: Server) -> None:
        submitted.append(coming[len(submitted)])
        if random.random() < 0.5:
            server.cancel(random.choice(submitted))

    server, heard = played(shape, coming, lambda _: None, hang_up)
    cancelled = [each for each in coming if each.cancelled]
    assert len(heard.ends) + len(cancelled) == len(coming)
    assert server.kv_milli == 0
    for each in coming:
        assert each.cancelled is (each.end_us == NEVER_US)
        assert each.cancelled or each.produced == each.output_tokens
        assert each.produced <= each.output_tokens


@settings(max_examples=20)
@given(SHAPES, LOADS)
def test_the_same_load_is_always_played_the_same_way(
    shape: ServerShape, load: list[tuple[int, int, int]]
) -> None:
    times = [
        [(each.sent_us, each.first_us, each.end_us) for each in run(shape, calls(load))]
        for _ in range(2)
    ]
    assert times[0] == times[1]


@pytest.mark.parametrize(("prompt", "steps"), [(1, 1), (50, 1), (51, 2), (100, 2), (101, 3)])
def test_a_prompt_is_read_in_chunks_and_each_takes_a_step(prompt: int, steps: int) -> None:
    (only,) = run(PLAIN, [call(0, prompt, 1)])
    assert only.first_us == only.end_us == steps * PLAIN.step_us + prompt * 10


def test_prompts_that_come_together_share_a_chunk() -> None:
    server = Server(PLAIN, Heard())
    first, second = call(0, 20, 1), call(0, 30, 1)
    server.submit(first)
    server.submit(second)
    server.advance(10_000)
    assert first.first_us == second.first_us == PLAIN.step_us + 50 * 10


def test_a_long_prompt_slows_those_who_decode_and_does_not_stop_them() -> None:
    heard = Heard()
    server = Server(PLAIN, heard)
    decoding, reading = call(0, 10, 1_000), call(0, 490, 10)
    server.submit(decoding)
    server.advance(2_000)
    server.submit(reading)
    before, begun_us = server.produced(decoding), server.now_us
    for at_us in range(2_000, 100_000, 100):
        if reading.first_us == NEVER_US:
            server.advance(at_us)
    made = server.produced(decoding) - before
    assert made >= 490 // PLAIN.chunk_tokens
    assert made * 1_100 < reading.first_us - begun_us


def test_calls_that_decode_take_their_tokens_out_of_the_chunk() -> None:
    heard = Heard()
    server = Server(replace(PLAIN, chunk_tokens=4), heard)
    for _ in range(3):
        server.submit(call(0, 1, 10_000))
    server.advance(50_000)
    late = call(server.now_us, 20, 1)
    server.submit(late)
    steps = server.produced(heard.firsts[0])
    for at_us in range(50_000, 200_000, 500):
        if late.first_us == NEVER_US:
            server.advance(at_us)
    assert server.produced(heard.firsts[0]) - steps >= 20


def test_one_that_keeps_room_takes_no_more_than_whole_outputs_fit() -> None:
    heard = Heard()
    server = Server(replace(PLAIN, kv_tokens=250, preempts=False), heard)
    for _ in range(4):
        server.submit(call(0, 20, 100))
    server.advance(20_000)
    assert (server.inside, server.waiting, server.preemptions) == (2, 2, 0)
    assert server.shortages > 0
    assert server.kv_milli == 960


def test_one_that_preempts_throws_the_youngest_out_and_it_is_told_of_only_once() -> None:
    heard = Heard()
    server = Server(replace(PLAIN, kv_tokens=120), heard)
    old, young = call(0, 20, 90), call(0, 20, 90)
    server.submit(old)
    server.submit(young)
    server.advance(10**6)
    assert (old.preemptions, young.preemptions > 0) == (0, True)
    assert heard.firsts == [old, young]
    assert heard.ends == [old, young]
    assert young.end_us - young.first_us > old.end_us - old.first_us


def test_a_call_larger_than_the_whole_cache_is_served_alone() -> None:
    (only,) = run(replace(PLAIN, kv_tokens=30), [call(0, 60, 20)])
    assert (only.produced, only.preemptions) == (20, 0)


def test_a_cancelled_prompt_gives_its_slot_to_the_next() -> None:
    heard = Heard()
    server = Server(replace(PLAIN, slots=1), heard)
    reading, next_one = call(0, 10_000, 5), call(0, 10, 5)
    server.submit(reading)
    server.submit(next_one)
    server.advance(2_500)
    assert server.waiting == 1
    server.cancel(reading)
    server.advance(100_000)
    assert heard.firsts == heard.ends == [next_one]
    assert server.produced(reading) == 0


def test_the_clock_stands_still_for_nobody_and_never_goes_back() -> None:
    server = Server(PLAIN, Heard())
    server.advance(5_000)
    server.advance(1_000)
    assert server.now_us == 5_000
    late = call(5_000, 10, 1)
    server.submit(late)
    assert late.first_us == NEVER_US, "nothing happens but in advance"
    server.advance(5_000)
    assert late.first_us == NEVER_US
    server.advance(10_000)
    assert late.first_us == 5_000 + PLAIN.step_us + 100
