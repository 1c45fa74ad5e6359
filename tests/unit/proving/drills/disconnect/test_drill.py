import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.toy_booth import ToyBooth, toy_evidence, toy_scene
from tokenbooth.proving.drills.disconnect import drill as module
from tokenbooth.proving.drills.disconnect.checks import DisconnectSaw
from tokenbooth.proving.drills.disconnect.drill import DisconnectDrill
from tokenbooth.proving.drills.disconnect.plan import EVENTS, PRICE, cuts
from tokenbooth.proving.drills.laws import violations


class ToyEngine:
    """Has every call at once; ``left`` is what it tells of them."""

    url = "http://127.0.0.1:9/v1"

    def __init__(self, *, left: bool = True) -> None:
        self._left = left
        self.asked = 0

    async def up(self) -> None:
        assert self.asked == 0

    async def calls(self) -> dict[str, int | None]:
        self.asked += 1
        left_us = 10**15 if self._left else None
        return {cut.plan.prompt: left_us for cut in cuts(1)}


def attacked(engine: ToyEngine) -> tuple[DisconnectDrill, DisconnectSaw, ToyBooth]:
    drill, booth = DisconnectDrill(), ToyBooth({"far": PRICE, "near": PRICE})
    drill._engine = engine  # type: ignore[assignment]

    async def scene() -> DisconnectSaw:
        async with toy_scene(booth, drill.stage_plan()) as made:
            return await drill.attack(made)

    return drill, asyncio.run(scene()), booth


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0)
    monkeypatch.setattr(module, "TELL_WAIT_S", 0)
    monkeypatch.setattr("tokenbooth.proving.drills.disconnect.plan.BLIND_PAUSE_MS", 0)


def test_every_cut_is_made_once_and_told_in_order() -> None:
    _drill, saw, _booth = attacked(ToyEngine())
    assert [each.cut for each in saw.cuts] == list(cuts(1))
    assert all(each.cut_us is not None for each in saw.cuts)
    assert [each.call for each in saw.cuts] == list(saw.calls)


def test_a_stream_is_cut_after_as_many_events_as_planned() -> None:
    _drill, saw, _booth = attacked(ToyEngine())
    for each in saw.cuts:
        assert each.call.events == each.cut.plan.cut_after_events
        assert each.call.complete is (each.call.events == EVENTS)


def test_a_toy_that_charges_whole_answers_to_who_hung_up_is_caught() -> None:
    drill, saw, booth = attacked(ToyEngine())
    caught = {violation.check for violation in violations(toy_evidence(booth, saw), drill.laws)}
    assert "charge_is_what_was_delivered" in caught


@pytest.mark.parametrize(("left", "told"), [(True, 32), (False, 0)])
def test_the_figures_tell_when_the_engine_was_left(left: bool, told: int) -> None:
    drill, saw, booth = attacked(ToyEngine(left=left))
    figures: Any = json.loads(json.dumps(drill.figures(toy_evidence(booth, saw))))
    assert figures["engine_left"] == told
    assert (figures["cancel_us_max"] is not None) is left
    assert (figures["cancel_us_median"] is not None) is left
    assert sum(figures["cuts"].values()) == figures["calls"] == len(cuts(1))


def test_the_engine_stands_beside_and_obeys_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(
        "tokenbooth.proving.drills.engine.Child.start",
        lambda child: started.append(" ".join(child._command)),
    )
    drill = DisconnectDrill()
    with drill.beside(tmp_path, None) as store_url:
        (far, _near) = drill.stage_plan().models
    assert store_url is None
    assert "--option turn_commands=true" in started[0]
    assert str(far.upstream_url).startswith("http://127.0.0.1:")
