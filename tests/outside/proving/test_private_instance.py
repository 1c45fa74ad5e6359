"""A private instance is started, killed, started again and ended, from outside."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.support.instances import Script, add_scripts, new_account
from tokenbooth.proving import accounts
from tokenbooth.proving.client import Ask, bearer, call, json_ask
from tokenbooth.proving.instance import InstanceFault, PrivateInstance, is_ready


def test_an_instance_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    with PrivateInstance(tmp_path / "booth") as instance:
        address = instance.start()
        assert is_ready(address)
        assert instance.stop() == 0
        assert not instance.running
        assert not is_ready(address)


def test_an_instance_ends_with_its_block_however_it_ends(tmp_path: Path) -> None:
    pids = []

    def fail(instance: PrivateInstance) -> None:
        with instance:
            instance.start()
            pids.append(instance.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail(PrivateInstance(tmp_path / "booth"))
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_money_survives_a_crash_of_the_server(tmp_path: Path) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with PrivateInstance(tmp_path / "booth") as instance:
        add_scripts(instance, Script("m"))
        secret = new_account(instance, "acme")
        address = instance.start()
        ask = json_ask("/v1/chat/completions", secret, body)  # type: ignore[arg-type]
        answer = asyncio.run(call(address, ask))
        cost = json.loads(answer.body)["usage"]["cost"]["amount_nano"]
        left = asyncio.run(accounts.balance_nano(address, secret))
        instance.kill()
        assert not instance.running
        address = instance.start()
        (record,) = asyncio.run(accounts.records(address, secret))
        assert (record.cost_nano, record.status) == (cost, "completed")
        assert asyncio.run(accounts.balance_nano(address, secret)) == left


def test_commands_work_beside_the_running_server(tmp_path: Path) -> None:
    with PrivateInstance(tmp_path / "booth") as instance:
        address = instance.start()
        instance.command("org", "create", "acme")
        made = instance.command("key", "create", "acme")
        answer = asyncio.run(call(address, Ask("GET", "/v1/balance", bearer(str(made["secret"])))))
        assert answer.status == 200
        assert instance.command("ledger", "verify")["open_holds"] == 0


def test_a_command_that_fails_says_what_it_said(tmp_path: Path) -> None:
    with PrivateInstance(tmp_path / "booth") as instance:
        with pytest.raises(InstanceFault, match="exited 1"):
            instance.command("key", "create", "nobody")
        status, document, said = instance.command_status("key", "create", "nobody")
        assert status == 1
        assert "error" in document
        assert "organization" in said


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    with (
        PrivateInstance(tmp_path / "one") as first,
        PrivateInstance(tmp_path / "one") as second,
    ):
        address = first.start()
        with pytest.raises(InstanceFault, match="served already"):
            second.start()
        assert is_ready(address)


def test_settings_are_the_instances_own(tmp_path: Path) -> None:
    with PrivateInstance(tmp_path / "booth", settings={"edge.drain_max_s": "7"}) as instance:
        assert instance.settings().edge.drain_max_s == 7
        assert instance.settings().data_dir == tmp_path / "booth"
