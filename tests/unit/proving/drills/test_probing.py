import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drill_parts import books
from tests.support.toy_booth import ToyBooth, ToyLevel, refused, toy_scene
from tokenbooth.proving.drills.laws import cost_nano
from tokenbooth.proving.drills.probing import (
    Probe,
    ProbedSaw,
    ProbeSeen,
    output_tokens_bought,
    probe_all,
    the_last_nano_is_judged_right,
)
from tokenbooth.proving.drills.script import script_prompt, script_tokens
from tokenbooth.proving.observations import CallSeen, Closing, Evidence, PriceSeen
from tokenbooth.proving.plans import CallKind, CallPlan
from tokenbooth.proving.stage import KeyPlan, ModelPlan, OrgPlan, StagePlan

PRICE = PriceSeen(input_pico=1_000_000, cached_pico=1_000_000, output_pico=7_000_000)
PLAN = StagePlan(
    orgs=(OrgPlan("main", 10**9),),
    models=(ModelPlan(name="m", price=PRICE, output_tokens_max=64),),
    keys=(KeyPlan("k"),),
)
CALL = CallPlan(
    number=5,
    kind=CallKind.WHOLE,
    key="k",
    prompt=script_prompt(chunks=1, tokens_per_chunk=1),
)
TOKENS_MAX = 20
INPUT_TOKENS = script_tokens(2)
NEEDED_NANO = cost_nano(PRICE, INPUT_TOKENS, 1)


def probed(
    left_nano: int,
    refuse: Callable[[str], bytes | None] = lambda _key: None,
    kind: type[ToyBooth] = ToyBooth,
) -> ProbeSeen:
    async def scene() -> ProbeSeen:
        booth = kind({"m": PRICE}, {"k": left_nano + 40}, refuse)
        booth.level("k").spent_nano = 40
        async with toy_scene(booth, PLAN, replicas=3) as made:
            (found,) = await probe_all(made, [Probe(CALL, INPUT_TOKENS, TOKENS_MAX)], ["main"])
            return found

    return asyncio.run(scene())


def verdicts(*probes: ProbeSeen) -> list[str]:
    calls = tuple(probe.call for probe in probes)
    seen = Evidence(saw=ProbedSaw(calls=calls, probes=probes), **books((), PRICE))
    return list(the_last_nano_is_judged_right(seen))


@pytest.mark.parametrize(
    ("more", "tokens"),
    [(0, 1), (1, 1), (6_999, 1), (7_000, 2), (7_000 * 19, 20), (10**6, TOKENS_MAX)],
)
def test_all_that_is_left_can_be_had_to_the_nano(more: int, tokens: int) -> None:
    found = probed(NEEDED_NANO + more)
    assert found.call.complete
    assert found.call.plan.strict
    assert found.call.plan.output_tokens_max == tokens
    assert found.needed_nano == cost_nano(PRICE, INPUT_TOKENS, tokens)
    assert found.left_nano == NEEDED_NANO + more
    assert (found.fits, found.false, verdicts(found)) == (True, False, [])


def test_money_that_is_kept_aside_is_missed() -> None:
    """As in the lease of a server that is dead: a smaller call would still pass."""

    class Keeping(ToyBooth):
        def level(self, key: str) -> ToyLevel:
            found = super().level(key)
            found.kept_nano = 7_000
            return found

    found = probed(NEEDED_NANO + 7_000 * 5, kind=Keeping)
    assert found.false
    assert len(verdicts(found)) == 1


@given(
    st.builds(PriceSeen, st.integers(0, 10**10), st.integers(0, 10), st.integers(1000, 10**10)),
    st.integers(0, 10**5),
    st.integers(0, 10**12),
)
def test_the_most_that_is_bought_fits_and_one_more_does_not(
    price: PriceSeen, input_tokens: int, left_nano: int
) -> None:
    tokens = output_tokens_bought(price, input_tokens, left_nano)
    if tokens > 0:
        assert cost_nano(price, input_tokens, tokens) <= left_nano
    assert cost_nano(price, input_tokens, max(0, tokens) + 1) > left_nano


def test_what_misses_one_nano_does_not() -> None:
    found = probed(NEEDED_NANO - 1)
    assert (found.call.status, found.fits, found.false) == (429, False, False)
    assert verdicts(found) == []


def test_a_refusal_of_what_fits_is_false() -> None:
    level = ToyLevel(100, 100)
    found = probed(NEEDED_NANO, lambda _key: refused(level, NEEDED_NANO))
    assert found.false
    (said,) = verdicts(found)
    assert "was refused" in said


def test_a_pass_of_what_does_not_fit_is_seen() -> None:
    call = CallSeen(plan=CALL, closing=Closing.BODY, status=200)
    (said,) = verdicts(ProbeSeen(call, left_nano=9, needed_nano=10))
    assert "needs 10 of 9 nano left, and passed" in said
