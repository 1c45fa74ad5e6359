import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.proving.asking import WRONG_KEY_WAYS
from tokenbooth.proving.drills.mixed.schedule import (
    CALLS_MAX,
    CALLS_MIN,
    CAPPED_KEYS,
    CREDIT_NANO,
    KEYS,
    PRICE,
    PROJECT_CAP_NANO,
    SCRIPT_CHUNKS,
    SLOW,
    SLOW_SCRIPT,
    schedule_of,
    stage_plan,
)
from tokenbooth.proving.malformed import MALFORMED
from tokenbooth.proving.plans import CLIENT_FAULTS, CUTS, CallKind

some_schedules = st.builds(schedule_of, st.integers(0, 10**9), st.integers(CALLS_MIN, 400))


@given(st.integers(), st.integers(CALLS_MIN, 200))
@settings(max_examples=20)
def test_a_schedule_is_a_function_of_its_seed(seed: int, calls: int) -> None:
    assert schedule_of(seed, calls) == schedule_of(seed, calls)


def test_another_seed_is_another_schedule() -> None:
    assert schedule_of(1, 100) != schedule_of(2, 100)


@given(some_schedules)
@settings(max_examples=30)
def test_every_call_stands_in_it_once_and_in_order(schedule) -> None:
    assert [plan.number for plan in schedule.calls] == list(range(len(schedule.calls)))
    assert len({plan.mark for plan in schedule.calls}) == len(schedule.calls)


@given(some_schedules)
@settings(max_examples=30)
def test_every_kind_of_call_happens(schedule) -> None:
    assert {plan.kind for plan in schedule.calls} == set(CallKind)


@given(some_schedules)
@settings(max_examples=30)
def test_the_engine_dies_twice_and_one_key_is_revoked_before_it_is_used_again(schedule) -> None:
    numbers = {
        kind: [p.number for p in schedule.calls if p.kind is kind]
        for kind in (CallKind.ENGINE_KILL, CallKind.KEY_REVOKE, CallKind.REVOKED_KEY)
    }
    assert tuple(numbers[CallKind.ENGINE_KILL]) == schedule.kills
    assert len(schedule.kills) == 2
    assert numbers[CallKind.KEY_REVOKE] == [schedule.revoke]
    assert min(numbers[CallKind.REVOKED_KEY]) > schedule.revoke


@given(some_schedules)
@settings(max_examples=30)
def test_calls_with_a_trigger_are_long_streams(schedule) -> None:
    for number in (*schedule.kills, schedule.revoke):
        plan = schedule.calls[number]
        assert plan.stream
        assert plan.output_tokens_max is None


@given(some_schedules)
@settings(max_examples=30)
def test_only_client_faults_expect_a_refusal_and_always_a_4xx(schedule) -> None:
    for plan in schedule.calls:
        assert bool(plan.statuses) == (plan.kind in CLIENT_FAULTS)
        assert all(400 <= status < 500 for status in plan.statuses)


@given(some_schedules)
@settings(max_examples=30)
def test_only_cuts_hang_up_and_within_the_script(schedule) -> None:
    for plan in schedule.calls:
        if plan.kind not in CUTS:
            assert (plan.cut_after_events, plan.pause_ms, plan.abrupt) == (0, 0, False)
        assert 0 <= plan.cut_after_events < SCRIPT_CHUNKS


@given(some_schedules)
@settings(max_examples=30)
def test_usage_is_only_asked_of_streams(schedule) -> None:
    assert all(plan.stream for plan in schedule.calls if plan.include_usage)


def test_a_long_drill_goes_through_every_way_to_be_wrong_and_every_capped_key() -> None:
    calls = schedule_of(5, 500).calls
    ways = {plan.way for plan in calls if plan.kind is CallKind.MALFORMED}
    assert ways == set(range(len(MALFORMED)))
    wrong = {plan.way for plan in calls if plan.kind is CallKind.WRONG_KEY}
    assert wrong == set(range(WRONG_KEY_WAYS))
    capped = {plan.key for plan in calls if plan.kind is CallKind.OVER_CAP}
    assert capped == {plan.name for plan in CAPPED_KEYS}


def test_a_long_drill_cuts_before_the_first_event_and_in_both_manners() -> None:
    cuts = [plan for plan in schedule_of(5, 500).calls if plan.kind is CallKind.STREAM_CUT]
    assert any(plan.cut_after_events == 0 for plan in cuts)
    assert {plan.abrupt for plan in cuts} == {True, False}


def test_every_call_uses_a_key_that_is_made() -> None:
    names = {plan.name for plan in KEYS}
    assert len(names) == len(KEYS)
    assert {plan.key for plan in schedule_of(9, 300).calls} <= names


@pytest.mark.parametrize("calls", [CALLS_MIN - 1, 0, -5, CALLS_MAX + 1])
def test_too_few_or_too_many_calls_are_refused(calls: int) -> None:
    with pytest.raises(ValueError, match="calls must be from"):
        schedule_of(1, calls)


def test_the_victim_of_the_revocation_runs_on_the_slow_model_and_nothing_else_does() -> None:
    calls = schedule_of(9, 300).calls
    assert [plan.kind for plan in calls if plan.model == SLOW] == [CallKind.KEY_REVOKE]
    assert int(SLOW_SCRIPT["chunks"]) * int(SLOW_SCRIPT["chunk_delay_ms"]) >= 10_000


def test_the_first_model_is_the_engine_that_dies_with_room_for_all_calls() -> None:
    plan = stage_plan("http://127.0.0.1:9/v1", 8)
    mock, slow = plan.models
    assert mock.upstream_url == "http://127.0.0.1:9/v1"
    assert mock.concurrency_max >= 8
    assert (slow.name, slow.upstream_url, slow.script) == (SLOW, None, SLOW_SCRIPT)
    assert plan.keys == KEYS
    assert {org.name for org in plan.orgs} == {key.org for key in KEYS}


def test_caps_lie_where_calls_cross_them() -> None:
    """A cap between one and a few answers makes the edge; the smallest buys nothing at all."""
    answer_nano = SCRIPT_CHUNKS * PRICE.output_pico // 1000
    caps = [plan.cap_nano for plan in KEYS if plan.cap_nano is not None]
    assert min(caps) < PRICE.output_pico // 1000
    for cap in [*sorted(caps)[1:], PROJECT_CAP_NANO, CREDIT_NANO["poor"]]:
        assert answer_nano < cap < 10 * answer_nano
    assert CREDIT_NANO["main"] > 10_000 * answer_nano
