import asyncio
import json
from typing import Any

import pytest

from tests.support.toy_booth import ToyBooth, toy_evidence, toy_scene
from tokenbooth.proving.drills.kill import load
from tokenbooth.proving.drills.kill.checks import CHECKS, KillSaw
from tokenbooth.proving.drills.kill.drill import KILLS_MAX, PARALLEL_MAX, KillDrill
from tokenbooth.proving.drills.kill.plan import OUTPUT_TOKENS_MAX, PRICE
from tokenbooth.proving.drills.laws import violations
from tokenbooth.proving.observations import Evidence


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"kills": 0}, "kills"),
        ({"kills": KILLS_MAX + 1}, "kills"),
        ({"parallel": 1}, "parallel"),
        ({"parallel": PARALLEL_MAX + 1}, "parallel"),
    ],
)
def test_impossible_options_are_refused(changed: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        KillDrill(seed=1, **changed)


def test_there_is_money_for_every_kill() -> None:
    few, many = (len(KillDrill(seed=1, kills=kills).stage_plan().orgs) for kills in (1, 100))
    assert few > 6
    assert many > 200


def attacked(booth: ToyBooth, drill: KillDrill) -> Evidence[KillSaw]:
    async def scene() -> KillSaw:
        async with toy_scene(booth, drill.stage_plan(), replicas=2) as made:
            return await drill.attack(made)

    return toy_evidence(booth, asyncio.run(scene()))


def toy(drill: KillDrill, kind: type[ToyBooth] = ToyBooth) -> ToyBooth:
    caps = {key.name: key.cap_nano or 0 for key in drill.stage_plan().keys}
    return kind({"scripted": PRICE}, caps, answer_tokens=OUTPUT_TOKENS_MAX)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "LIFE_CALLS", (0, 20))
    monkeypatch.setattr(load, "LAST_MOMENT_MS_MAX", 1)
    monkeypatch.setattr(load, "REFUSED_PAUSE_S", 0)


def test_a_booth_that_never_dies_is_no_proof_but_its_books_are_right() -> None:
    drill = KillDrill(seed=1, kills=6, parallel=4)
    seen = attacked(toy(drill), drill)
    assert {violation.check for violation in violations(seen, drill.laws)} <= {"kills_hurt"}
    figures: Any = json.loads(json.dumps(drill.figures(seen)))
    assert (figures["kills"], figures["lost"], figures["overcharged"]) == (6, 0, 0)
    assert figures["completed"] > 0
    assert figures["recovered_ms_max"] is None
    assert figures["restart_ms_median"] >= 0


class Forgetful(ToyBooth):
    """Loses every third record."""

    def _record(self, *call: Any) -> str:
        request_id = super()._record(*call)
        if len(self.records) % 3 == 0:
            del self.records[request_id]
            self.records[f"req_lost_{len(self.records)}"] = next(iter(self.records.values()))
        return request_id


def test_a_booth_that_loses_records_and_doubles_others_is_caught() -> None:
    drill = KillDrill(seed=1, kills=3, parallel=4)
    seen = attacked(toy(drill, Forgetful), drill)
    caught = {violation.check for violation in violations(seen, drill.laws)}
    assert {"answers_match_records", "one_record_each", "money_is_conserved"} <= caught
    assert drill.figures(seen)["lost"] != 0
    assert drill.figures(seen)["duplicate"] != 0


def test_its_laws_are_those_of_the_kill_drill() -> None:
    assert KillDrill(seed=1).laws == CHECKS
