import asyncio
import json

import pytest

from tests.support.toy_booth import ToyBooth, ToyLevel, toy_evidence, toy_scene
from tokenbooth.proving.drills.laws import violations
from tokenbooth.proving.drills.stampede.checks import StampedeSaw
from tokenbooth.proving.drills.stampede.drill import StampedeDrill
from tokenbooth.proving.drills.stampede.plan import (
    ANSWER_TOKENS,
    CAP_NANO,
    ODD_PRICE,
    PRICE,
    SCOPES,
    rushes,
)
from tokenbooth.proving.observations import Evidence


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"calls": 59}, "calls"),
        ({"calls": 10_001}, "calls"),
        ({"callers": 1}, "callers"),
        ({"callers": 501}, "callers"),
        ({"scopes": ()}, "limits"),
        ({"scopes": ("moon",)}, "limits"),
    ],
)
def test_what_cannot_be_played_is_refused(changed: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        StampedeDrill(**changed)  # type: ignore[arg-type]


def test_its_stage_has_room_for_the_whole_crowd() -> None:
    plan = StampedeDrill(calls=60, callers=500).stage_plan()
    assert {org.name for org in plan.orgs} == {rush.name for rush in rushes()}
    assert all(model.concurrency_max >= 500 * len(SCOPES) for model in plan.models)


def attacked(booth: ToyBooth, drill: StampedeDrill) -> Evidence[StampedeSaw]:
    async def scene() -> StampedeSaw:
        async with toy_scene(booth, drill.stage_plan()) as made:
            return await drill.attack(made)

    return toy_evidence(booth, asyncio.run(scene()))


def toy(drill: StampedeDrill, kind: type[ToyBooth] = ToyBooth) -> ToyBooth:
    caps = {key.name: CAP_NANO for key in drill.stage_plan().keys}
    return kind({"even": PRICE, "odd": ODD_PRICE}, caps, answer_tokens=ANSWER_TOKENS)


class Greedy(ToyBooth):
    """Looks at what is spent and forgets what is held: check, then act."""

    def level(self, key: str) -> ToyLevel:
        found = super().level(key)
        found.held_nano = 0
        return found


class Timid(ToyBooth):
    """Keeps a tenth of every cap to itself."""

    def level(self, key: str) -> ToyLevel:
        found = super().level(key)
        found.cap_nano = CAP_NANO * 9 // 10
        return found


def test_an_honest_booth_passes_and_the_figures_say_so() -> None:
    drill = StampedeDrill(calls=60, callers=3, scopes=("key",))
    seen = attacked(toy(drill), drill)
    assert violations(seen, drill.laws) == ()
    figures = json.loads(json.dumps(drill.figures(seen)))
    assert (figures["parallel"], figures["lost"], figures["false_refusals"]) == (60, 0, 0)
    assert figures["rushes"]["key-exact"] == {
        "calls": 60,
        "passed": 50,
        "spent_nano": CAP_NANO,
        "used_ppm": 1_000_000,
    }
    assert figures["rushes"]["key-random"]["used_ppm"] >= 999_000


@pytest.mark.parametrize(
    ("cheat", "caught_by"),
    [
        (Greedy, {"exactly_what_fits_passes", "caps_hold"}),
        (Timid, {"exactly_what_fits_passes", "caps_are_used_up", "refusals_are_true"}),
    ],
)
def test_a_booth_that_is_not_exact_is_caught(cheat: type[ToyBooth], caught_by: set[str]) -> None:
    drill = StampedeDrill(calls=120, callers=3, scopes=("key",))
    seen = attacked(toy(drill, cheat), drill)
    assert caught_by <= {violation.check for violation in violations(seen, drill.laws)}
