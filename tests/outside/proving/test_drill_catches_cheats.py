"""The drill fails a server that cheats: a copy of the product with one thing changed in it."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import tokenbooth
from tokenbooth.proving.child import clean_environment, own_command

PRODUCT = Path(tokenbooth.__file__).parent


@dataclass(frozen=True)
class Cheat:
    """``old`` becomes ``new`` in ``path``; the drill must answer with ``caught_by``."""

    name: str
    path: str
    old: str
    new: str
    caught_by: str


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
        "frozenset({Outcome.CLIENT_GONE, Outcome.KEY_REVOKED})",
        "frozenset({Outcome.KEY_REVOKED})",
        "cut_calls_pay_for_delivery",
    ),
    Cheat(
        "breaks on what is not JSON",
        "protocols/strict_json.py",
        "    except json.JSONDecodeError as error:",
        "    except ZeroDivisionError as error:",
        "client_faults_are_named",
    ),
)


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.name)
def test_the_drill_catches(cheat: Cheat, tmp_path: Path) -> None:
    shutil.copytree(PRODUCT, tmp_path / "tokenbooth")
    changed = tmp_path / "tokenbooth" / cheat.path
    source = changed.read_text()
    assert cheat.old in source
    changed.write_text(source.replace(cheat.old, cheat.new))
    done = subprocess.run(
        own_command("drill", "mixed", "--calls", "100", "--seed", "1", "--json"),
        cwd=tmp_path,
        env=clean_environment({"PYTHONPATH": str(tmp_path)}),
        capture_output=True,
        timeout=200,
        check=False,
    )
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["passed"] is False
    assert cheat.caught_by in {row["check"] for row in document["violations"]}
