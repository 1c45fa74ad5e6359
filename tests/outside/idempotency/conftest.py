"""Two gateway processes over one database of each kind, for calls that are made more than once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.attack import CHAT, account, assert_sound
from tests.support.instances import Script, add_scripts
from tokenbooth.proving.client import Address, Ask, WholeAnswer, call, json_ask
from tokenbooth.proving.instance import PrivateInstance

SCRIPTS = (
    Script("demo"),
    Script("two-seconds", {"chunks": "100", "chunk_delay_ms": "20"}),
    Script("slow", {"chunks": "2000", "chunk_delay_ms": "20"}),
    Script("broken", {"fault": "fail"}),
    Script("long", {"chunks": "30000"}),
)


@dataclass(frozen=True)
class Pair:
    """``first`` and ``second`` are two replicas; ``secret`` is a key of a rich organization."""

    instance: PrivateInstance
    first: Address
    second: Address
    secret: str
    foreign: str


def ask_with(secret: str, key: str | None, fields: dict[str, Any]) -> Ask:
    ask = json_ask(CHAT, secret, fields)
    named = () if key is None else (("idempotency-key", key),)
    return replace(ask, headers=(*ask.headers, *named))


async def keyed(address: Address, secret: str, key: str, fields: dict[str, Any]) -> WholeAnswer:
    return await call(address, ask_with(secret, key, fields))


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    url = None
    if request.param == "postgresql":
        running = request.getfixturevalue("running_postgres")
        url = running.url(running.new_database())
    directory: Path = tmp_path_factory.mktemp(request.param)
    settings = {"workers.replays_every_ms": "200"}
    with PrivateInstance(directory, store_url=url, settings=settings, replicas=2) as instance:
        add_scripts(instance, *SCRIPTS)
        secret, foreign = account(instance, "acme"), account(instance, "other")
        instance.start()
        first, second = (replica.address for replica in instance.replicas)
        yield Pair(instance, first, second, secret, foreign)
        assert instance.stop() == 0, instance.log_tail()
        assert_sound(instance)
