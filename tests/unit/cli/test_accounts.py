"""Organizations, projects and keys from the command line."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.cli.conftest import Command

Ask = Callable[..., Any]


def amount(document: Any, index: int, what: str) -> str | None:
    found = document["limits"][index][what]
    return None if found is None else found["amount"]


def test_an_organization_is_created_credited_and_listed(ask: Ask) -> None:
    created = ask("org", "create", "acme", "--cap-usd", "5")
    assert created["id"].startswith("org_")
    credited = ask("org", "credit", "acme", "12.50")
    assert amount(credited, 0, "remaining") == "12.500000000"
    (row,) = ask("org", "list")["data"]
    assert (row["name"], row["id"]) == ("acme", created["id"])
    assert amount(row, 1, "limit") == "5.000000000"


def test_a_reference_books_once(ask: Ask, command: Command) -> None:
    ask("org", "create", "acme")
    ask("org", "credit", "acme", "1", "--ref", "invoice 7")
    again = ask("org", "credit", "acme", "1", "--ref", "invoice 7")
    assert amount(again, 0, "limit") == "1.000000000"
    other = command("org", "credit", "acme", "2", "--ref", "invoice 7")
    assert other.code == 1
    assert "another amount" in other.err


@pytest.mark.parametrize("text", ["0", "-1", "1e3", "1,5", "abc", "", "1.0000000001", "9" * 30])
def test_an_amount_that_cannot_be_booked_is_refused(ask: Ask, command: Command, text: str) -> None:
    ask("org", "create", "acme")
    said = command("org", "credit", "--json", "--", "acme", text)
    assert said.code in (1, 2)
    (row,) = ask("org", "list")["data"]
    assert amount(row, 0, "limit") == "0.000000000"


def test_a_taken_name_is_refused_with_a_cure(ask: Ask, command: Command) -> None:
    ask("org", "create", "acme")
    said = command("org", "create", "acme")
    assert said.code == 1
    assert said.out == ""
    assert "error: An organization of that name exists." in said.err
    assert "cure: " in said.err


def test_a_refusal_is_a_document_too(command: Command) -> None:
    said = command("org", "credit", "nobody", "1", "--json")
    assert said.code == 1
    assert said.document["error"]["code"] == "not_found"
    assert said.document["error"]["cure"]


def test_caps_of_all_three_levels(ask: Ask) -> None:
    ask("org", "create", "acme")
    ask("project", "create", "acme", "search", "--cap-usd", "2")
    key_id = ask("key", "create", "acme", "--project", "search", "--cap-usd", "1")["id"]
    assert amount(ask("org", "cap", "acme", "9"), 1, "limit") == "9.000000000"
    assert amount(ask("project", "cap", "acme", "search", "3"), 0, "limit") == "3.000000000"
    assert amount(ask("key", "cap", key_id, "none"), 0, "limit") is None
    assert amount(ask("org", "cap", "acme", "none"), 1, "limit") is None


def test_a_project_keeps_answers_unless_it_is_told_not_to(ask: Ask) -> None:
    ask("org", "create", "acme")
    assert ask("project", "create", "acme", "search")["answers_kept"] is True
    assert ask("project", "create", "acme", "law", "--no-answers-kept")["answers_kept"] is False
    for flag, kept in (("--no-answers-kept", False), ("--answers-kept", True)):
        changed = ask("project", "set", "acme", "search", flag)
        assert (changed["answers_kept"], changed["data_terms"]) == (kept, "private")
    assert ask("project", "set", "acme", "law", "--data-terms", "contributor")["answers_kept"] is (
        False
    )
    listed = {row["name"]: row["answers_kept"] for row in ask("project", "list")["data"]}
    assert listed == {"default": True, "search": True, "law": False}


def test_a_change_of_nothing_is_refused(ask: Ask, command: Command) -> None:
    ask("org", "create", "acme")
    refused = command("project", "set", "acme", "default", "--json")
    assert refused.code == 1
    assert refused.document["error"]["code"] == "missing_required_parameter"
    assert "--answers-kept" in refused.document["error"]["message"]


def test_projects_are_listed_for_one_organization(ask: Ask) -> None:
    ask("org", "create", "acme")
    ask("org", "create", "other")
    assert len(ask("project", "list")["data"]) == 2
    (row,) = ask("project", "list", "--org", "acme")["data"]
    assert row["name"] == "default"


def test_a_key_is_shown_once(ask: Ask, command: Command) -> None:
    ask("org", "create", "acme")
    said = command(
        "key", "create", "acme", "--expires", "30d", "--rpm", "7", "--tpm", "8", "--parallel", "9"
    )
    secret = said.out.splitlines()[0]
    assert secret.startswith("tb_live_")
    (row,) = ask("key", "list", "--org", "acme")["data"]
    assert row["rate_limits"] == {
        "requests_per_minute": 7,
        "tokens_per_minute": 8,
        "parallel_calls": 9,
    }
    assert row["expires_at"] is not None
    listed = command("key", "list")
    assert secret not in listed.out
    assert secret[-4:] in listed.out


def test_a_key_can_be_narrowed(ask: Ask, command: Command) -> None:
    ask("org", "create", "acme")
    ask("model", "add", "demo", "--scripted")
    key = ask("key", "create", "acme", "--model", "demo", "--scope", "read")
    assert (key["models"], key["scopes"]) == (["demo"], ["read"])
    assert command("key", "create", "acme", "--scope", "admin").code == 1
    assert command("key", "create", "acme", "--model", "nothing").code == 1
    assert command("key", "create", "acme", "--expires", "soon").code == 1


def test_rotation_and_revocation(ask: Ask, command: Command) -> None:
    ask("org", "create", "acme")
    first = ask("key", "create", "acme")
    second = ask("key", "rotate", first["id"], "--overlap", "24h")
    assert second["id"] == first["id"]
    assert second["secret"] != first["secret"]
    assert ask("key", "revoke", first["id"])["revoked_at"] is not None
    assert "revoked" in command("key", "list").out
    refused = command("key", "rotate", first["id"])
    assert refused.code == 1
    assert "revoked" in refused.err


def test_text_output_names_what_was_done(ask: Ask, command: Command) -> None:
    assert "its balance is empty" in command("org", "create", "acme").out
    assert "3.000000000 USD left" in command("org", "credit", "acme", "3").out
    assert "acme" in command("org", "list").out
    assert "cap 2" in command("org", "cap", "acme", "2").out
    assert "Project p is proj_" in command("project", "create", "acme", "p").out
    assert "default" in command("project", "list").out
    assert "cap 1" in command("project", "cap", "acme", "p", "1").out
    key_id = ask("key", "create", "acme")["id"]
    assert "cap none" in command("key", "cap", key_id, "none").out
    assert "tb_live_" in command("key", "rotate", key_id).out
    assert "is revoked" in command("key", "revoke", key_id).out
