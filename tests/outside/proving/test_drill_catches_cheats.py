"""Each drill fails a server that cheats: a copy of the product with one thing changed in it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

import tokenbooth
from tests.outside.proving.playing import drill

PRODUCT = Path(tokenbooth.__file__).parent


@dataclass(frozen=True)
class Cheat:
    """``old`` becomes ``new`` in ``path``; the drill, played as short as it shows the cheat, must
    answer with ``caught_by``."""

    name: str
    path: str
    old: str
    new: str
    caught_by: str
    played: tuple[str, ...] = ("mixed", "--calls", "100")


STAMPEDE = ("stampede", "--calls", "100", "--callers", "4", "--limit", "key")
KILL = ("kill", "--kills", "5")
POWERCUT = ("powercut", "--kills", "6")
DISCONNECT = ("disconnect",)
DBDOWN = ("dbdown", "--seconds", "3")

CHEATS = (
    Cheat(
        "charges for what the engine failed",
        "gateway/rules.py",
        "return Charge(outcome, delivered, charge=False, reason=REASONS[outcome])",
        "return Charge(outcome, delivered, charge=True, reason=REASONS[outcome])",
        "failures_are_free",
    ),
    Cheat(
        "tells another cost than it books",
        "protocols/receipts.py",
        '"cost": cost_json(receipt.cost_nano, receipt.price_version, receipt.currency)',
        '"cost": cost_json(receipt.cost_nano - 1, receipt.price_version, receipt.currency)',
        "told_costs_are_booked",
    ),
    Cheat(
        "gives away what a cut call has read",
        "gateway/rules.py",
        "    {Outcome.CLIENT_GONE, Outcome.KEY_REVOKED,",
        "    {Outcome.KEY_REVOKED,",
        "cut_calls_pay_for_delivery",
    ),
    Cheat(
        "breaks on what is not JSON",
        "protocols/strict_json.py",
        "    except json.JSONDecodeError as error:",
        "    except ZeroDivisionError as error:",
        "client_faults_are_named",
    ),
    Cheat(
        "holds half of what a call may cost",
        "money/leases/sizing.py",
        "    return Sized(amount_nano, tokens, ask.output_tokens_max, lowered=False)\n",
        "    return Sized(amount_nano // 2, tokens, ask.output_tokens_max, lowered=False)\n",
        "exactly_what_fits_passes",
        STAMPEDE,
    ),
    Cheat(
        "tells of a spending that never was",
        "money/refusals.py",
        '"spent": state.spent_nano,',
        '"spent": state.spent_nano + 1,',
        "refusals_are_true",
        STAMPEDE,
    ),
    Cheat(
        "forgets its journal when it comes back",
        "gateway/recovery.py",
        "    left = settled_calls(journal.replay, op.now())\n",
        "    left = settled_calls(journal.replay, op.now())[:0]\n",
        "delivered_calls_are_recorded",
        KILL,
    ),
    Cheat(
        "charges an interrupted call for all that was held",
        "money/journal/rules.py",
        "cost_nano=min(sent.cost_nano, held_nano) if sent else 0,",
        "cost_nano=held_nano,",
        "costs_are_recomputable",
        KILL,
    ),
    Cheat(
        "keeps the leases of the dead",
        "money/leases/service.py",
        "rules.give(row, leases[name], rules.closed(leases[name]))",
        "rules.give(row, leases[name], Giving(0, 0))",
        "the_last_nano_is_judged_right",
        POWERCUT,
    ),
    Cheat(
        "charges a nano more than what had left was worth",
        "money/journal/rules.py",
        "cost_nano=min(sent.cost_nano, held_nano) if sent else 0,",
        "cost_nano=min(sent.cost_nano + 1, held_nano) if sent else 0,",
        "costs_are_recomputable",
        POWERCUT,
    ),
    Cheat(
        "lets the engine work on for half a second",
        "gateway/relay.py",
        "                self._run.resume()\n                self._run.cancel()\n",
        "                self._run.resume()\n"
        "                self._loop.call_later(0.5, self._run.cancel)\n",
        "engine_is_told",
        DISCONNECT,
    ),
    Cheat(
        "charges one token more than left",
        "gateway/rules.py",
        "output_tokens=delivery.output_tokens + delivery.uncounted_bytes,",
        "output_tokens=delivery.output_tokens + delivery.uncounted_bytes + 1,",
        "charge_is_what_was_delivered",
        DISCONNECT,
    ),
    Cheat(
        "turns callers away without a time to come back",
        "protocols/problems.py",
        "if problem.retry_after_s is not None:",
        "if problem.retry_after_s is None:",
        "refusals_are_named",
        DBDOWN,
    ),
    Cheat(
        "forgets charges when too many wait for the database",
        "gateway/teller.py",
        "        self._pool.tell(call)\n",
        "        if self._pool.waiting < 20:\n            self._pool.tell(call)\n",
        "answers_match_records",
        DBDOWN,
    ),
)


def test_every_drill_has_cheats_planted() -> None:
    drills = [cheat.played[0] for cheat in CHEATS]
    assert all(drills.count(name) >= 2 for name in drills)
    assert len(set(drills)) == 6


def played_here() -> tuple[Cheat, ...]:
    """One for each drill; ``scripts/nightly`` plays all of them."""
    if os.environ.get("TOKENBOOTH_TEST_CHEATS") == "all":
        return CHEATS
    return tuple({cheat.played[0]: cheat for cheat in CHEATS}.values())


@pytest.mark.parametrize("cheat", played_here(), ids=lambda cheat: cheat.name)
def test_the_drill_catches(cheat: Cheat, tmp_path: Path) -> None:
    shutil.copytree(PRODUCT, tmp_path / "tokenbooth")
    changed = tmp_path / "tokenbooth" / cheat.path
    source = changed.read_text()
    assert source.count(cheat.old) >= 1
    changed.write_text(source.replace(cheat.old, cheat.new))
    variables = {"PYTHONPATH": str(tmp_path)}
    status, report, said = drill(*cheat.played, cwd=tmp_path, variables=variables)
    assert (status, report.get("passed")) == (1, False), said
    assert cheat.caught_by in {row["check"] for row in report["violations"]}
