"""The operator's commands say the same on SQLite and on PostgreSQL."""

from pathlib import Path
from typing import Any

import pytest

from tests.outside.cli.conftest import Ran, Run
from tokenbooth.store.options import StoreOptions

Json = Any


class Operator:
    """Runs commands that must succeed, with the store in the environment."""

    def __init__(self, run: Run, options: StoreOptions) -> None:
        self._run = run
        self._variables = {"TOKENBOOTH_STORE__URL": options.url}

    def raw(self, *arguments: str) -> Ran:
        return self._run(*arguments, variables=self._variables)

    def __call__(self, *arguments: str) -> Json:
        said = self.raw(*arguments, "--json")
        assert said.code == 0, said.err
        return said.document


@pytest.fixture
def operator(run: Run, empty_options: StoreOptions) -> Operator:
    made = Operator(run, empty_options)
    assert "schema" in made("init")["created"]
    return made


def test_accounts_keys_models_and_prices(operator: Operator) -> None:
    org = operator("org", "create", "acme", "--cap-usd", "100")
    operator("org", "credit", "acme", "12.345678901", "--ref", "invoice 1")
    operator("org", "credit", "acme", "12.345678901", "--ref", "invoice 1")
    operator("project", "create", "acme", "search", "--cap-usd", "5")
    operator("model", "add", "demo", "--scripted")
    operator("model", "price", "demo", "--input", "0.15", "--output", "0.6")
    key = operator(
        "key", "create", "acme", "--project", "search", "--model", "demo", "--cap-usd", "1"
    )
    (row,) = operator("org", "list")["data"]
    assert row["id"] == org["id"]
    assert row["limits"][0]["remaining"]["amount"] == "12.345678901"
    assert row["limits"][1]["limit"]["amount_nano"] == 100 * 10**9
    listed = operator("key", "list", "--org", "acme")["data"]
    assert [each["id"] for each in listed] == [key["id"]]
    assert [each["name"] for each in operator("project", "list")["data"]] == ["default", "search"]
    (model,) = operator("model", "list")["data"]
    assert model["pricing"]["output"] == "0.600000"
    assert operator("model", "test", "demo")["text"]
    assert operator("usage")["data"] == []
    assert operator("usage", "acme")["total_cost"]["amount_nano"] == 0
    assert operator("ledger", "verify")["sound"] is True


def test_refusals_have_the_same_codes(operator: Operator) -> None:
    operator("org", "create", "acme")
    expected = {
        ("org", "create", "acme"): "already_exists",
        ("org", "create", "a\tb"): "invalid_value",
        ("org", "credit", "nobody", "1"): "not_found",
        ("org", "credit", "acme", "0"): "invalid_value",
        ("org", "credit", "acme", "9223372036.854775808"): "invalid_value",
        ("project", "create", "acme", "default"): "already_exists",
        ("project", "cap", "acme", "none-such", "1"): "not_found",
        ("key", "create", "acme", "--model", "nothing"): "model_not_found",
        ("key", "revoke", "key_none"): "not_found",
        ("key", "cap", "key_none", "1"): "not_found",
        ("model", "remove", "nothing"): "model_not_found",
        ("model", "price", "nothing", "--input", "1", "--output", "1"): "model_not_found",
        ("usage", "nobody"): "not_found",
    }
    for arguments, code in expected.items():
        said = operator.raw(*arguments, "--json")
        assert (said.code, said.document["error"]["code"]) == (1, code), arguments
    assert operator("ledger", "verify")["accounts"] >= 1


def test_a_key_lives_through_rotation_and_dies_by_revocation(operator: Operator) -> None:
    operator("org", "create", "acme")
    key = operator("key", "create", "acme", "--cap-usd", "3", "--expires", "30d")
    renewed = operator("key", "rotate", key["id"], "--overlap", "1h")
    assert renewed["id"] == key["id"]
    assert renewed["secret"] != key["secret"]
    (row,) = operator("key", "list")["data"]
    assert row["limits"][0]["limit"]["amount_nano"] == 3 * 10**9
    operator("key", "revoke", key["id"])
    assert operator.raw("key", "rotate", key["id"]).code == 1


def test_a_copy_holds_everything(operator: Operator, tmp_path: Path) -> None:
    operator("org", "create", "acme")
    operator("org", "credit", "acme", "7")
    copy = tmp_path / "copy.backup"
    assert operator("backup", str(copy))["bytes"] == copy.stat().st_size > 0
    assert operator.raw("backup", str(copy)).code == 1
    assert operator("migrate")["backup"] is None
    assert operator("ledger", "verify")["sound"] is True


def test_doctor_looks_at_this_store(operator: Operator) -> None:
    found = operator.raw("doctor", "--json").document["findings"]
    by_name = {each["name"]: each for each in found}
    assert by_name["schema"]["ok"]
    assert by_name["ledger"]["text"] == "sound"


def test_a_password_in_the_address_is_never_shown(run: Run) -> None:
    variables = {"TOKENBOOTH_STORE__URL": "postgresql://booth:s3cret@127.0.0.1:1/none"}
    for arguments in (("config", "show"), ("config", "show", "--json"), ("doctor",), ("init",)):
        said = run(*arguments, variables=variables)
        assert "s3cret" not in said.out + said.err, arguments
        assert "Traceback" not in said.err
