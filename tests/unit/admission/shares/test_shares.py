"""Parts of a limit are never more than it, in any order of calls, changes and deaths."""

import asyncio
import contextlib
import random
from dataclasses import dataclass, replace

import pytest

from tests.support.shares import Holder, Town
from tokenbooth.admission.entry.service import Place
from tokenbooth.admission.shares.holder import REFUSED_US
from tokenbooth.admission.shares.service import Kind
from tokenbooth.core.caller import Caller, CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import ServiceTier

MINUTE_US = 60_000_000
NOBODY = CallLimits()


@dataclass(frozen=True)
class Deployment:
    id: str = "d"
    model_name: str = "demo"
    concurrency_max: int = 3
    queue_max: int = 4
    queue_wait_max_s: int = 30


def caller(key: CallLimits = NOBODY, org: CallLimits = NOBODY, key_id: str = "k") -> Caller:
    return Caller(
        org_id="o",
        project_id="p",
        key_id=key_id,
        scopes=frozenset(),
        key_limits=key,
        org_limits=org,
    )


def visit(holder: Holder) -> Place:
    return holder.gates.place("o", ServiceTier.STANDARD, 10, 10)


async def admitted(holder: Holder, who: Caller, tokens: int = 0):
    await holder.shares.cover(who, tokens)
    return holder.rates.admit(who, tokens)


async def refused(holder: Holder, who: Caller, tokens: int = 0) -> Problem:
    with pytest.raises(Problem) as caught:
        await holder.shares.cover(who, tokens)
    return caught.value


def run(scenario) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


@pytest.mark.parametrize("seed", range(25))
def test_no_minute_holds_more_than_the_limit_whatever_happens(seed: int) -> None:
    async def scenario() -> None:
        chance = random.Random(seed)
        town, times = Town("abc"), []
        who = caller(CallLimits(requests_per_minute=12), CallLimits(requests_per_minute=30))
        for _ in range(600):
            town.clock.us += chance.choice((0, 1000, 200_000, 900_000, 3_000_000))
            holder = town.holders[chance.choice("abc")]
            fate = chance.random()
            if fate < 0.01:
                town.dies(holder.name)
                town.born(holder.name)
                continue
            if fate < 0.05:
                holder.shares.tidy()
            with contextlib.suppress(Problem):
                (await admitted(holder, who)).close(0)
                times.append(town.clock.us)
        assert len(times) > 40
        for place, time_us in enumerate(times):
            assert sum(time_us <= other < time_us + MINUTE_US for other in times[place:]) <= 12

    run(scenario)


def test_nothing_is_refused_while_another_has_it() -> None:
    async def scenario() -> None:
        town, who = Town("ab"), caller(CallLimits(10, 1000, None))
        one, other = town.holders.values()
        for turn in range(10):
            await admitted(one if turn % 3 else other, who, 100)
        problem = await refused(one, who, 0)
        assert (problem.code, problem.facts["limit"]) == (Code.RATE_LIMITED, "requests_per_minute")
        assert 1 <= problem.retry_after_s <= 61
        town.clock.us += problem.retry_after_s * 1_000_000
        await admitted(one, who, 100)

    run(scenario)


def test_tokens_are_shared_like_calls_and_what_can_never_pass_is_said_so() -> None:
    async def scenario() -> None:
        town, who = Town("ab"), caller(CallLimits(None, 100, None))
        one, other = town.holders.values()
        assert (await refused(one, who, 101)).code is Code.INVALID_VALUE
        (await admitted(one, who, 60)).close(40)
        await admitted(other, who, 60)
        assert (await refused(one, who, 1)).facts["limit"] == "tokens_per_minute"

    run(scenario)


def test_calls_at_once_come_free_for_all() -> None:
    async def scenario() -> None:
        town, who = Town("ab"), caller(CallLimits(None, None, 2))
        one, other = town.holders.values()
        tickets = [await admitted(one, who), await admitted(one, who)]
        assert (await refused(other, who)).facts["limit"] == "parallel_calls"
        tickets[0].close(0)
        town.clock.us += REFUSED_US
        await admitted(other, who)

    run(scenario)


def test_a_call_within_its_part_asks_nobody() -> None:
    async def scenario() -> None:
        town, who = Town("ab"), caller(CallLimits(1000, 100_000, 50), CallLimits(5000))
        for _ in range(200):
            (await admitted(town.holders["a"], who, 10)).close(10)
        assert town.asked == 4
        for _ in range(100):
            (await admitted(town.holders["b"], who, 10)).close(10)
        assert town.asked == 8

    run(scenario)


def test_a_refusal_is_believed_for_a_moment() -> None:
    async def scenario() -> None:
        town, who = Town("ab"), caller(CallLimits(1))
        await admitted(town.holders["a"], who)
        for _ in range(50):
            await refused(town.holders["b"], who)
        assert town.asked == 2
        town.clock.us += REFUSED_US
        await refused(town.holders["b"], who)
        assert town.asked == 3

    run(scenario)


def test_a_changed_limit_acts_at_once() -> None:
    async def scenario() -> None:
        town, who = Town("ab"), caller(CallLimits(10))
        one, other = town.holders.values()
        for holder in (one, other, one, other):
            await admitted(holder, who)
        less = replace(who, key_limits=CallLimits(5))
        await admitted(one, less)
        assert (await refused(other, less)).facts["allowed"] == 5
        more = replace(who, key_limits=CallLimits(6))
        await admitted(other, more)
        assert (await refused(one, more)).facts["allowed"] == 6

    run(scenario)


def test_what_remains_is_what_is_left_of_the_own_part() -> None:
    async def scenario() -> None:
        town, who = Town("ab"), caller(CallLimits(10))
        one, other = town.holders.values()
        await admitted(one, who)
        assert one.rates.state(who).requests[:2] == (10, 9)
        await admitted(other, who)
        left = one.rates.state(who).requests.remaining, other.rates.state(who).requests.remaining
        assert sum(left) == 8
        assert min(left) >= 1

    run(scenario)


def test_what_nobody_uses_is_given_back_and_forgotten() -> None:
    async def scenario() -> None:
        town, who = Town("ab"), caller(CallLimits(10, None, 4))
        (await admitted(town.holders["a"], who)).close(0)
        town.holders["a"].shares.tidy()
        assert [limited.kind for limited in town.holders["a"].shares.held] == [Kind.REQUESTS]
        town.clock.us += 62_000_000
        town.holders["a"].shares.tidy()
        assert (len(town.holders["a"].shares), len(town.ledger)) == (0, 0)

    run(scenario)


def test_a_dead_holder_takes_its_part_of_the_minute_along_and_no_places() -> None:
    async def scenario() -> None:
        town, who = Town("ab"), caller(CallLimits(10, None, 2))
        await admitted(town.holders["a"], who)
        town.dies("a")
        problem = await refused(town.holders["b"], who)
        assert problem.facts["limit"] == "requests_per_minute"
        town.clock.us += MINUTE_US + 2_000_000
        town.ledger.tidy(town.clock.us)
        assert len(town.ledger) == 0
        await admitted(town.holders["b"], who)
        await admitted(town.holders["b"], who)

    run(scenario)


def test_places_are_never_more_than_there_are_and_go_where_calls_wait() -> None:
    async def scenario() -> None:
        town, deployment = Town("ab"), Deployment()
        running, most, served = 0, 0, {"a": 0, "b": 0}

        async def call(name: str) -> None:
            nonlocal running, most
            holder = town.holders[name]
            await holder.shares.cover_place(deployment)
            place = await holder.gates.enter(deployment, visit(holder))
            running += 1
            most = max(most, running)
            served[name] += 1
            for _ in range(5):
                await asyncio.sleep(0)
            running -= 1
            place.leave()

        for _ in range(30):
            await asyncio.gather(*(call(name) for name in "aabba"))
        assert most == 3
        assert served == {"a": 90, "b": 60}

    run(scenario)


def test_one_place_is_handed_around() -> None:
    async def scenario() -> None:
        town, deployment = Town("ab"), Deployment(concurrency_max=1, queue_max=50)
        order: list[str] = []

        async def call(name: str) -> None:
            holder = town.holders[name]
            await holder.shares.cover_place(deployment)
            place = await holder.gates.enter(deployment, visit(holder))
            order.append(name)
            await asyncio.sleep(0)
            place.leave()

        await asyncio.gather(*(call(name) for name in "aaaabbbb"))
        assert sorted(order) == list("aaaabbbb")
        assert order != list("aaaabbbb")

    run(scenario)


def test_a_holder_that_comes_back_keeps_what_it_had() -> None:
    async def scenario() -> None:
        town, who = Town("ab"), caller(CallLimits(10))
        for _ in range(4):
            await admitted(town.holders["a"], who)
        held = town.holders["a"].shares.held
        town.ledger = type(town.ledger)()
        town.ledger.joined("a", held)
        for _ in range(6):
            await admitted(town.holders["b"], who)
        await refused(town.holders["b"], who)
        town.away = True
        assert (await refused(town.holders["a"], caller(CallLimits(1), key_id="new"))).code is (
            Code.RATE_LIMITED
        )

    run(scenario)
