import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.toy_booth import ToyBooth, toy_evidence, toy_scene, unavailable
from tokenbooth.proving.drills.dbdown import drill as module
from tokenbooth.proving.drills.dbdown.checks import DbdownSaw
from tokenbooth.proving.drills.dbdown.drill import SECONDS_MAX, DbdownDrill
from tokenbooth.proving.drills.dbdown.plan import OUTPUT_TOKENS_MAX, PRICE
from tokenbooth.proving.drills.laws import violations
from tokenbooth.proving.observations import Evidence


class Switch:
    """An outage that a toy looks at."""

    def __init__(self) -> None:
        self.down = False
        self.done: list[str] = []

    def begin(self) -> None:
        self.down = True
        self.done.append("begin")

    def end(self) -> None:
        self.down = False
        self.done.append("end")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WARM_S": 0.05, "AFTER_S": 0.05, "REFUSED_PAUSE_S": 0.01}.items():
        monkeypatch.setattr(module, name, value)
    wait = asyncio.sleep
    monkeypatch.setattr(module.asyncio, "sleep", lambda span_s: wait(min(span_s, 0.05)))


def attacked(
    refuses: Any = lambda key: key.startswith("stranger"),
) -> tuple[Evidence[DbdownSaw], Switch]:
    """At a toy that turns away whom ``refuses`` names while the switch is down."""
    switch, drill = Switch(), DbdownDrill(seconds=2)
    drill._outage = switch  # type: ignore[assignment]

    def refuse(key: str) -> bytes | None:
        return unavailable() if switch.down and refuses(key) else None

    booth = ToyBooth({"scripted": PRICE}, {}, refuse, answer_tokens=OUTPUT_TOKENS_MAX)

    async def scene() -> DbdownSaw:
        async with toy_scene(booth, drill.stage_plan(), replicas=2) as made:
            return await drill.attack(made)

    return toy_evidence(booth, asyncio.run(scene())), switch


def caught(seen: Evidence[DbdownSaw]) -> set[str]:
    return {violation.check for violation in violations(seen, DbdownDrill().laws)}


@pytest.mark.parametrize("seconds", [0, -1, SECONDS_MAX + 1])
def test_impossible_options_are_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="seconds must be from 1"):
        DbdownDrill(seconds=seconds)


def test_a_booth_that_serves_leased_money_only_passes() -> None:
    seen, switch = attacked()
    assert caught(seen) == set()
    assert switch.done == ["begin", "end"]
    figures: Any = json.loads(json.dumps(DbdownDrill().figures(seen)))
    assert figures["served_meanwhile"] > 0
    assert figures["refused"] > 0
    assert figures["lost"] == 0
    assert figures["back_after_ms"] is not None


def test_a_booth_that_serves_everybody_unmetered_is_caught() -> None:
    seen, _switch = attacked(lambda _key: False)
    assert {"nobody_is_served_unmetered", "outage_was_felt"} <= caught(seen)


def test_a_booth_that_serves_nobody_is_caught() -> None:
    seen, _switch = attacked(lambda _key: True)
    assert caught(seen) == {"leased_money_is_served"}


def test_strangers_that_are_never_served_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRANGER_WAIT_S", 0)
    seen, switch = attacked()
    assert "everybody_is_served_again" in caught(seen)
    assert DbdownDrill().figures(seen)["back_after_ms"] is None
    assert switch.done == ["begin", "end"]


def test_the_servers_are_given_the_wire_and_the_file_is_the_instances(tmp_path: Path) -> None:
    drill = DbdownDrill()
    with drill.beside(tmp_path, "postgresql://r@127.0.0.1:9/books") as url:
        assert url is not None
        assert url.startswith("postgresql://r@127.0.0.1:")
        assert not url.endswith(":9/books")
    with drill.beside(tmp_path, None) as url:
        assert url is None
        assert drill._outage._path == tmp_path / "instance" / "tokenbooth.db"  # type: ignore[attr-defined]
