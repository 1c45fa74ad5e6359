"""An instance of each database for attackers: small bounds, scripted models, no rate limit."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.attack import account, assert_sound
from tests.support.instances import Script, add_scripts
from tokenbooth.proving.client import Address
from tokenbooth.proving.instance import PrivateInstance

SCRIPTS = (
    Script("demo", {"chunks": "8"}, 512, 512),
    Script("echo", {"answer": "echo"}),
    Script("slow", {"chunks": "2000", "chunk_delay_ms": "20"}, 512, 512),
    Script("flood", {"chunks": "50000", "tokens_per_chunk": "20", "context_tokens": "100000000"}),
    Script("queue", {"chunks": "2000", "chunk_delay_ms": "20"}, 1, 1),
    Script("negative", {"usage": "negative"}),
    Script("too-large", {"usage": "too_large"}),
)
SETTINGS = {
    "edge.head_wait_max_s": "1",
    "edge.stall_max_s": "1",
    "edge.connections_max": "700",
    "gateway.run_max_s": "20",
}


@dataclass(frozen=True)
class Target:
    """``secret`` belongs to a rich organization, ``foreign`` to another one."""

    instance: PrivateInstance
    address: Address
    secret: str
    foreign: str


def target_on(directory, store_url: str | None) -> Iterator[Target]:
    with PrivateInstance(directory, store_url=store_url, settings=SETTINGS) as instance:
        add_scripts(instance, *SCRIPTS)
        secret, foreign = account(instance, "acme"), account(instance, "other")
        yield Target(instance, instance.start(), secret, foreign)
        assert instance.stop() == 0, instance.log_tail()
        assert_sound(instance)


@pytest.fixture(scope="session")
def sqlite_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    yield from target_on(tmp_path_factory.mktemp("sqlite"), None)


@pytest.fixture(scope="session")
def postgres_target(tmp_path_factory, running_postgres) -> Iterator[Target]:
    url = running_postgres.url(running_postgres.new_database())
    yield from target_on(tmp_path_factory.mktemp("postgres"), url)


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest) -> Target:
    """The instance on each database."""
    name = "sqlite_target" if request.param == "sqlite" else "postgres_target"
    found: Target = request.getfixturevalue(name)
    return found
