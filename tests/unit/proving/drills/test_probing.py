import asyncio
from collections.abc import Callable

import pytest

from tests.support.drill_parts import books
from tests.support.toy_booth import ToyBooth, ToyLevel, refused, toy_scene
from tokenbooth.proving.drills.laws import cost_nano
from tokenbooth.proving.drills.probing import (
    Probe,
    ProbedSaw,
    ProbeSeen,
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
    output_tokens_max=1,
)
INPUT_TOKENS = script_tokens(2)
NEEDED_NANO = cost_nano(PRICE, INPUT_TOKENS, 1)


def probed(left_nano: int, refuse: Callable[[str], bytes | None] = lambda _key: None) -> ProbeSeen:
    async def scene() -> ProbeSeen:
        booth = ToyBooth({"m": PRICE}, {"k": left_nano + 40}, refuse)
        booth.level("k").spent_nano = 40
        async with toy_scene(booth, PLAN, replicas=3) as made:
            (found,) = await probe_all(made, [Probe(CALL, INPUT_TOKENS)], ["main"])
            return found

    return asyncio.run(scene())


def verdicts(*probes: ProbeSeen) -> list[str]:
    calls = tuple(probe.call for probe in probes)
    seen = Evidence(saw=ProbedSaw(calls=calls, probes=probes), **books((), PRICE))
    return list(the_last_nano_is_judged_right(seen))


@pytest.mark.parametrize("more", [0, 1, 10**6])
def test_what_fits_to_the_nano_passes(more: int) -> None:
    found = probed(NEEDED_NANO + more)
    assert found.call.complete
    assert (found.needed_nano, found.left_nano) == (NEEDED_NANO, NEEDED_NANO + more)
    assert (found.fits, found.false, verdicts(found)) == (True, False, [])


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
