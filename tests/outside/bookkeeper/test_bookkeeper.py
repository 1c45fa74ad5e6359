"""A served booth with a bookkeeper: who dies when, and what the books say afterwards."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attack import until
from tests.support.instances import Script, add_scripts, new_account
from tokenbooth.proving import accounts
from tokenbooth.proving.bench.cpu import children
from tokenbooth.proving.client import call, json_ask
from tokenbooth.proving.instance import PrivateInstance

BODY: dict[str, object] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[PrivateInstance]:
    with PrivateInstance(tmp_path / "booth", settings={"gateway.bookkeeper": "true"}) as made:
        add_scripts(made, Script("m"))
        yield made


def bookkeeper_pid(instance: PrivateInstance) -> int:
    assert instance.pid is not None
    (pid,) = children(instance.pid)
    return pid


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_books_are_right_whoever_is_killed(instance: PrivateInstance) -> None:
    secret = new_account(instance, "acme")
    ask = json_ask("/v1/chat/completions", secret, BODY)
    address = instance.start()

    def cost_nano() -> int:
        answer = asyncio.run(call(address, ask))
        assert answer.status == 200
        return int(json.loads(answer.body)["usage"]["cost"]["amount_nano"])

    paid = [cost_nano()]
    os.kill(bookkeeper_pid(instance), signal.SIGKILL)
    paid += [cost_nano(), cost_nano()]
    assert len(asyncio.run(accounts.records(address, secret))) == len(paid)
    until(lambda: "bookkeeper_lost" in instance.log_tail())  # a line may come a moment later
    instance.kill()

    address = instance.start()
    mine = bookkeeper_pid(instance)
    paid.append(cost_nano())
    instance.kill()
    until(lambda: is_gone(mine))

    address = instance.start()
    paid.append(cost_nano())
    records = asyncio.run(accounts.records(address, secret))
    assert sorted(record.cost_nano for record in records) == sorted(paid)
    assert instance.stop() == 0
    assert instance.command("ledger", "verify")["sound"] is True
