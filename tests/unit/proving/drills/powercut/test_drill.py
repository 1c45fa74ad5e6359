"""What the powercut drill adds to the kill drill."""

import asyncio
from dataclasses import fields, replace
from pathlib import Path

import pytest

from tests.support.drill_parts import answered
from tests.support.toy_booth import ToyBooth, toy_scene
from tests.unit.proving.drills.kill import test_checks as kill
from tests.unit.proving.drills.powercut.test_segments import FILE, RECORDS
from tokenbooth.proving.drills.kill.checks import delivered_calls_are_recorded
from tokenbooth.proving.drills.kill.load import Callers, Servers
from tokenbooth.proving.drills.kill.plan import PRICE, Wallet
from tokenbooth.proving.drills.laws import violations
from tokenbooth.proving.drills.powercut.checks import CHECKS, PowercutSaw, TearSeen
from tokenbooth.proving.drills.powercut.drill import PowercutDrill
from tokenbooth.proving.observations import Evidence

TEAR = TearSeen(1, removed_bytes=300, garbage_bytes=10, lost_records=2)


def evidence(*tears: TearSeen, base: kill.Seen | None = None) -> Evidence[PowercutSaw]:
    found = base or kill.evidence()
    saw = {field.name: getattr(found.saw, field.name) for field in fields(found.saw)}
    return replace(found, saw=PowercutSaw(**saw, tears=tears))  # type: ignore[arg-type]


def violated(seen: Evidence[PowercutSaw]) -> set[str]:
    return {violation.check for violation in violations(seen, CHECKS)}


def test_nothing_is_wrong_when_only_unkept_records_went() -> None:
    assert violations(evidence(TEAR), CHECKS) == ()


@pytest.mark.parametrize(
    "tears",
    [
        (),
        (TEAR, TEAR),
        (replace(TEAR, lost_records=0),),
        (replace(TEAR, garbage_bytes=0),),
    ],
)
def test_a_power_cut_that_took_nothing_proves_nothing(tears: tuple[TearSeen, ...]) -> None:
    assert violated(evidence(*tears)) == {"power_was_cut"}


def test_a_call_may_lose_its_record_with_the_power_and_a_finished_one_may_not() -> None:
    lost = kill.evidence(records={kill.CUT: None})
    assert delivered_calls_are_recorded not in CHECKS
    assert violated(evidence(TEAR, base=lost)) <= {"kills_hurt"}
    finished = kill.evidence(records={kill.STREAM: None})
    assert "answers_match_records" in violated(evidence(TEAR, base=finished))


def test_an_interrupted_call_still_pays_for_no_more_than_came() -> None:
    over = kill.evidence(records=kill.charged(kill.CUT, 6))
    assert "interrupted_calls_pay_for_delivery" in violated(evidence(TEAR, base=over))


def test_figures_count_the_tears() -> None:
    drill = PowercutDrill(seed=1)
    figures = drill.figures(evidence(TEAR, replace(TEAR, lost_records=0, garbage_bytes=0)))
    assert figures["cuts_with_loss"] == figures["cuts_with_garbage"] == 1
    assert figures["records_torn_off"] == 2
    assert figures["kills"] == 1


@pytest.mark.parametrize(("replica", "name"), [(0, "main"), (1, "r2")])
def test_a_strike_tears_the_journal_of_the_dead_server_behind_what_was_kept(
    replica: int, name: str, tmp_path: Path
) -> None:
    """Call ``b`` is over for its caller, so its settlement stays."""
    drill = PowercutDrill(seed=1)
    logs = {}
    for other in ("main", "r2"):
        journal = tmp_path / "replicas" / other / "journal"
        journal.mkdir(parents=True)
        logs[other] = journal / "segment-0000000001.log"
        logs[other].write_bytes(FILE.content)

    async def strike() -> None:
        plan = kill.plan(1)
        done = replace(answered(plan, PRICE, (1, 2)), request_id="b", replica=replica)
        booth = ToyBooth({"scripted": PRICE})
        async with toy_scene(booth, drill.stage_plan(), replicas=2, data_dir=tmp_path) as scene:
            callers = Callers(scene, Servers(scene, 1), Wallet(drill._purses), iter(()))
            callers.seen = [done, replace(done, request_id="c", replica=1 - replica)]
            await drill.strike(scene, callers, replica)

    asyncio.run(strike())
    other = "r2" if name == "main" else "main"
    assert logs[other].read_bytes() == FILE.content
    kept = FILE.content[: FILE.ends[1 + RECORDS.index((3, "b"))]]
    assert logs[name].read_bytes().startswith(kept)
    (tear,) = drill._tears
    assert tear.replica == replica
    assert tear.lost_records <= 1
