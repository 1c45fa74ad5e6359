"""``tokenbooth reconcile`` on a directory, and against an upstream's counters."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tokenbooth.engines.port import EngineCounters
from tokenbooth.engines.upstream import UpstreamEngine
from tokenbooth.gateway import reconcile as module

Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_WAIT_S", 0.0)


def test_before_the_first_look_there_is_nothing(ask: Ask, command: Command) -> None:
    assert ask("reconcile") == {"object": "reconciliation_results", "sound": True, "data": []}
    assert command("reconcile").out.strip() == "None."


def test_a_look_proves_the_ledger_and_is_kept(ask: Ask, command: Command) -> None:
    ask("org", "create", "acme")
    ask("org", "credit", "acme", "5")
    (result,) = ask("reconcile", "--now")["data"]
    assert (result["subject"], result["sound"], result["difference"]) == ("ledger", True, 0)
    assert result["body"]["organizations"] == 1
    assert result["deployment_id"] is result["replica"] is None
    assert ask("reconcile")["data"] == [result]
    assert "sound" in command("reconcile").out


def test_a_balance_out_of_place_is_exit_code_one_and_an_event(
    ask: Ask, command: Command, home: Path
) -> None:
    ask("org", "create", "acme")
    ask("org", "credit", "acme", "5")
    with closing(sqlite3.connect(home / "tokenbooth.db")) as intruder:
        intruder.execute("UPDATE spend_limit SET limit_nano = 6000000000 WHERE scope = 'balance'")
        intruder.commit()
    said = command("reconcile", "--now", "--json")
    assert said.code == 1
    assert said.document["sound"] is False
    (result,) = said.document["data"]
    assert result["difference"] == 1_000_000_000
    assert "NOT SOUND" in command("reconcile").out
    (event,) = ask("events", "list")["data"]
    assert event["topic"] == "reconciliation_failed"
    assert event["organization_id"] is None
    assert event["body"]["result_id"] == result["id"]


def test_upstreams_are_asked_and_own_engines_are_left_to_their_server(
    ask: Ask, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("model", "add", "far", "--upstream", "http://127.0.0.1:9/v1", "--context", "100")
    ask("model", "add", "near", "--scripted")
    told = [EngineCounters("g", 10, 5, shared=True), EngineCounters("g", 10, 9, shared=True)]
    asked: list[UpstreamEngine] = []

    async def counters(self: UpstreamEngine) -> EngineCounters:
        asked.append(self)
        return told[min(len(asked), 2) - 1]

    monkeypatch.setattr(UpstreamEngine, "counters", counters)
    monkeypatch.setattr("tokenbooth.money.reconcile.rules.SHARED_SPAN_US_MIN", 0)
    assert [r["subject"] for r in ask("reconcile", "--now")["data"]] == ["ledger"]
    said = command("reconcile", "--now", "--json")
    assert said.code == 1
    (engine,) = [r for r in said.document["data"] if r["subject"] == "engine"]
    assert engine["body"]["output_difference"] == 4
    assert engine["deployment_id"]
    assert len(asked) == 2


def test_an_upstream_that_is_away_is_left_out(ask: Ask) -> None:
    ask("model", "add", "far", "--upstream", "http://127.0.0.1:9/v1", "--context", "100")
    assert [r["subject"] for r in ask("reconcile", "--now")["data"]] == ["ledger"]
