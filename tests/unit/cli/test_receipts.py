"""Receipts from the command line: export, verify, list and rotate keys."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.settled import Desk, opened_desk
from tests.unit.cli.conftest import Command, Said
from tokenbooth.cli.app import run
from tokenbooth.control.instance import InstancePaths
from tokenbooth.store.options import StoreOptions

DAYS = ("--since", "2023-11-14", "--until", "2023-11-14")


@pytest.fixture
def org(home: Path, ask: Callable[..., Any]) -> str:
    """An organization with three charged calls and a free one."""
    org_id: str = ask("org", "create", "acme")["id"]
    with opened_desk(StoreOptions(f"sqlite:///{home}/tokenbooth.db")) as desk:
        desk.orgs.add(org_id)
        desk.price()
        settle(desk, org_id)
    return org_id


def settle(desk: Desk, org_id: str) -> None:
    free = {"request_id": "req_4", "charged": False}
    desk.settle(*({"request_id": f"req_{n}"} for n in (1, 2, 3)), free, org=org_id)


@pytest.fixture
def verified(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """``verify`` needs no data directory, so none is given."""

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        code = run(["receipt", "verify", *map(str, arguments)])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def exported(tmp_path: Path, command: Command, org: str) -> Path:
    path = tmp_path / "statement.jsonl"
    said = command("statement", "export", "--org", "acme", *DAYS, "--out", str(path))
    assert (said.code, said.out) == (0, "")
    return path


def key_of(command: Command) -> str:
    (key,) = command("receipt", "keys", "--json").document["data"]
    return str(key["public_key"])


def test_an_exported_statement_verifies_with_the_key_of_the_booth(
    exported: Path, command: Command, verified: Callable[..., Said]
) -> None:
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert [line.get("request_id") for line in lines] == ["req_1", "req_2", "req_3", None]
    said = verified(exported, "--key", key_of(command))
    assert said.code == 0
    assert said.out.splitlines()[-1] == "statement of 3 receipts verified"
    assert "ok      key        is one that you named" in said.out
    assert exported.stat().st_mode & 0o777 == 0o600


def test_a_changed_statement_is_found_and_named(
    exported: Path, verified: Callable[..., Said]
) -> None:
    changed = exported.read_text().replace('"output_tokens":20', '"output_tokens":2', 1)
    exported.write_text(changed)
    said = verified(exported)
    assert said.code == 1
    assert "line 1  FAILED  amount" in said.out
    assert said.out.splitlines()[-1] == "statement of 3 receipts NOT VERIFIED"
    told = json.loads(verified(exported, "--json").out)
    assert (told["verified"], told["bad"], told["bad_lines"][0]["line"]) == (False, 1, 1)


def test_many_bad_lines_are_counted(exported: Path, verified: Callable[..., Said]) -> None:
    line = exported.read_text().splitlines()[0].replace("req_1", "req_9")
    exported.write_text(f"{line}\n" * 30)
    said = verified(exported)
    assert said.code == 1
    assert "… and 9 more lines" in said.out


def test_one_receipt_verifies_alone(exported: Path, verified: Callable[..., Said]) -> None:
    exported.write_text(exported.read_text().splitlines()[1])
    said = verified(exported)
    assert said.code == 0
    assert said.out.splitlines()[0] == "ok      form       a receipt for req_2"
    assert said.out.splitlines()[-1] == "receipt verified"


def test_a_key_that_is_none_is_refused(exported: Path, verified: Callable[..., Said]) -> None:
    said = verified(exported, "--key", "abc")
    assert said.code == 1
    assert "'abc' is no public key and no file" in said.err
    missing = verified(exported.with_name("none"))
    assert missing.code == 1
    assert "cannot be read" in missing.err


def test_a_statement_goes_to_standard_output(
    command: Command, org: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for layout, last in (("json", '"object":"statement"'), ("csv", "total,")):
        capsys.readouterr()
        asked = ["statement", "export", "--org", org, *DAYS, "--format", layout]
        assert run([*asked, "--data-dir", str(home)]) == 0
        out = capsys.readouterr().out
        assert last in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--org", "nobody"), "No organization"),
        (("--org", "acme", "--since", "x"), "since"),
        (("--org", "acme", "--since", "2023-11-15", "--until", "2023-11-14"), "since"),
    ],
)
def test_what_is_asked_wrongly_is_refused_by_name(
    command: Command, org: str, arguments: tuple[str, ...], told: str
) -> None:
    said = command("statement", "export", *arguments)
    assert said.code == 1
    assert told in said.err


def test_no_file_is_replaced_and_none_is_left_half(
    command: Command, org: str, tmp_path: Path
) -> None:
    path = tmp_path / "taken"
    path.write_text("mine")
    said = command("statement", "export", "--org", "acme", "--out", str(path))
    assert (said.code, path.read_text()) == (1, "mine")
    nowhere = tmp_path / "none" / "file"
    said = command("statement", "export", "--org", "acme", "--out", str(nowhere))
    assert said.code == 1
    assert "cannot be written" in said.err


def test_keys_are_listed_with_the_one_in_use_and_rotated_for_good(
    exported: Path,
    command: Command,
    home: Path,
    verified: Callable[..., Said],
    tmp_path: Path,
) -> None:
    (before,) = command("receipt", "keys", "--json").document["data"]
    assert before["current"] is True
    assert before["first_used_at"] is not None
    refused = command("receipt", "rotate")
    assert refused.code == 1
    assert "--yes" in refused.err
    secret = InstancePaths(home).receipts_key.read_bytes()
    new_id = command("receipt", "rotate", "--yes", "--json").document["id"]
    assert InstancePaths(home).receipts_key.read_bytes() != secret
    listed = command("receipt", "keys", "--json").document["data"]
    assert [(key["id"], key["current"]) for key in listed] == [
        (before["id"], False),
        (new_id, True),
    ]
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"data": listed}))
    assert verified(exported, "--key", keys).code == 0
    assert verified(exported, "--key", listed[1]["public_key"]).code == 1
    table = command("receipt", "keys").out.splitlines()
    assert [line.split()[-1] for line in table] == ["STATE", "-", "current"]
    said = command("receipt", "rotate", "--yes")
    assert "once the booth is started again" in said.out
