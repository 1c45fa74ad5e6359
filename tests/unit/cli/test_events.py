"""Events and thresholds from the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tokenbooth.cli.booth import write
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.alerts import service as alerts
from tokenbooth.money.alerts.service import SpendMove
from tokenbooth.money.outbox import service as outbox

Ask = Callable[..., Any]


def spend(home: Path, org_id: str, *, owner_id: str = "key_1", after: int = 600) -> None:
    """Let a limit of 1000 be spent to ``after``, as a round of a server does."""
    move = SpendMove(
        scope=LimitScope.KEY,
        owner_id=owner_id,
        window_id="",
        org_id=org_id,
        limit_nano=1000,
        before_nano=0,
        after_nano=after,
    )
    write(
        home,
        lambda _booth, op, tx: outbox.put(op, tx, alerts.events_for(op, tx, (move,), (50, 80))),
    )


def test_events_are_listed_for_all_or_for_one(ask: Ask, command: Command, home: Path) -> None:
    acme, rival = (ask("org", "create", name)["id"] for name in ("acme", "rival"))
    assert command("events", "list").out.strip() == "None."
    spend(home, acme)
    spend(home, rival, owner_id="key_2", after=900)
    spend(home, outbox.OPERATOR, owner_id="key_3")
    assert len(ask("events", "list")["data"]) == 4
    (event,) = ask("events", "list", "--org", "acme")["data"]
    assert event["organization_id"] == acme
    assert event["body"]["threshold_percent"] == 50
    first = ask("events", "list", "--limit", "1")
    assert first["has_more"] is True
    rest = ask("events", "list", "--after", first["next_after"])
    assert len(rest["data"]) == 3
    text = command("events", "list", "--org", "acme").out
    assert "spend_alert" in text
    assert event["id"] in text


def test_events_of_nobody_are_refused(command: Command) -> None:
    said = command("events", "list", "--org", "nobody", "--json")
    assert said.code == 1
    assert said.document["error"]["code"] == "not_found"


def test_thresholds_are_shown_and_set_for_each_level(ask: Ask, command: Command) -> None:
    org = ask("org", "create", "acme")
    project = next(p for p in ask("project", "list")["data"] if p["name"] == "default")
    key = ask("key", "create", "acme")
    for scope, owner, owner_id in (
        ("balance", "acme", org["id"]),
        ("organization", org["id"], org["id"]),
        ("project", "acme/default", project["id"]),
        ("key", key["id"], key["id"]),
    ):
        shown = ask("limit", "alerts", scope, owner)
        assert (shown["owner_id"], shown["own"]) == (owner_id, False)
        assert shown["percents"] == [50, 80, 95, 100]
        assert ask("limit", "alerts", scope, owner, "10,90")["percents"] == [10, 90]
        shown = ask("limit", "alerts", scope, owner)
        assert (shown["percents"], shown["own"]) == ([10, 90], True)
        assert ask("limit", "alerts", scope, owner, "none")["percents"] == []
        assert "alerts at none (its own)" in command("limit", "alerts", scope, owner).out
        assert ask("limit", "alerts", scope, owner, "default")["own"] is False
    assert "alerts at 50 %, 80 %, 95 %, 100 % (the booth's)" in (
        command("limit", "alerts", "balance", "acme").out
    )


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        (("planet", "acme"), "scope"),
        (("project", "acme"), "owner"),
        (("balance", "acme", "80,50"), "percents"),
        (("balance", "acme", "0"), "percents"),
        (("balance", "acme", "101"), "percents"),
        (("balance", "acme", "many"), "percents"),
        (("balance", "acme", "5,"), "percents"),
    ],
)
def test_what_cannot_be_set_is_named(
    ask: Ask, command: Command, arguments: tuple[str, ...], param: str
) -> None:
    ask("org", "create", "acme")
    said = command("limit", "alerts", *arguments, "--json")
    assert said.code == 1
    assert said.document["error"]["param"] == param
    assert ask("limit", "alerts", "balance", "acme")["own"] is False


@pytest.mark.parametrize(
    ("scope", "owner"), [("balance", "nobody"), ("project", "acme/none"), ("key", "key_none")]
)
def test_a_limit_of_nobody_is_refused(ask: Ask, command: Command, scope: str, owner: str) -> None:
    ask("org", "create", "acme")
    for percents in ((), ("50",)):
        said = command("limit", "alerts", scope, owner, *percents, "--json")
        assert said.code == 1
        assert said.document["error"]["code"] == "not_found"
