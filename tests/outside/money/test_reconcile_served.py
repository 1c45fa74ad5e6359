"""The reconciler of a running server, on both databases: its loop, its metrics, its command."""

import json

import pytest
from sqlalchemy import text

from tests.support.attack import account, body, chat, get, spent_nano, until
from tests.support.instances import Script, add_scripts, in_booth
from tokenbooth.proving.instance import PrivateInstance


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    running = request.getfixturevalue("running_postgres")
    return str(running.url(running.new_database()))


def counted(instance: PrivateInstance) -> list[int]:
    """Output tokens that the engine counted, one for each look; all looks must be sound."""
    query = text("SELECT sound, body FROM reconcile_result WHERE subject = 'engine'")
    rows = in_booth(instance, lambda booth, op, tx: tx.execute(query).all())
    assert all(row.sound for row in rows)
    return [json.loads(row.body)["counted_output_tokens"] for row in rows]


def test_a_server_looks_at_its_engines_and_at_the_ledger(tmp_path, store_url):
    settings = {"workers.reconcile_every_s": "1"}
    with PrivateInstance(tmp_path / "home", store_url=store_url, settings=settings) as instance:
        add_scripts(instance, Script("demo", {"chunks": "8"}))
        secret = account(instance, "acme")
        address = instance.start()
        for stream in (False, True):
            assert chat(address, secret, body("demo", stream=stream)).status == 200

        until(lambda: sum(counted(instance)) == 16)
        found = instance.command("reconcile")
        assert found["sound"] is True
        assert {result["subject"] for result in found["data"]} == {"ledger", "engine"}
        own = get(address, "/v1/reconciliation", secret).document()
        assert own["sound"] is True
        assert own["balance"]["difference"]["amount_nano"] == 0
        metrics = get(address, "/metrics", secret).body.decode()
        assert "tokenbooth_ledger_difference_nano 0.0" in metrics
        assert "tokenbooth_engine_difference_tokens{" in metrics
        assert "tokenbooth_reconciled_at_s 0.0" not in metrics
        now = instance.command("reconcile", "--now")
        assert now["sound"] is True
        balance = get(address, "/v1/balance", secret).document()
        fresh = get(address, "/v1/reconciliation", secret).document()
        assert fresh["balance"]["stored"] == balance["spendable"]
        assert spent_nano(address, secret) > 0
        assert get(address, "/v1/events", secret).document()["data"] == []
        assert instance.stop() == 0, instance.log_tail()
