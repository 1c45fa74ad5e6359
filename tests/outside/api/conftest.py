"""One running instance with scripted models, shared by the tests that talk to it over HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.outside.engines.lineup import mock_port
from tests.support.instances import Script, add_scripts, add_table, add_upstream, new_account
from tests.support.weights import potion
from tokenbooth.engines.scripted.values import AnswerKind, ScriptOptions
from tokenbooth.proving.client import Address
from tokenbooth.proving.instance import PrivateInstance

SCRIPTS = (
    Script("demo"),
    Script("slow", {"chunks": "2000", "chunk_delay_ms": "20"}),
    Script("paced", {"chunks": "40", "chunk_delay_ms": "20"}),
    Script("echo", {"answer": "echo"}),
    Script("thinker", {"reasoning_tokens": "8"}),
    Script("late", {"chunks": "4", "first_delay_ms": "2500"}),
    Script("broken", {"fault": "fail"}),
    Script("breaks-late", {"fault": "fail", "fault_after_chunks": "3"}),
    Script("plain", {"features": ""}),
    Script("one-seat", {"chunks": "2000", "chunk_delay_ms": "20"}, 1, 0),
    Script("priceless", priced=False),
)


@dataclass(frozen=True)
class Running:
    """``secret`` belongs to an organization with credit, ``foreign`` to another one."""

    instance: PrivateInstance
    address: Address
    secret: str
    foreign: str

    @property
    def base_url(self) -> str:
        return f"{self.address.base_url}/v1"


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("instance")
    echo = ScriptOptions(answer=AnswerKind.ECHO)
    with (
        PrivateInstance(directory, settings={"gateway.heartbeat_s": "1"}) as instance,
        mock_port(script=echo) as port,
    ):
        add_scripts(instance, *SCRIPTS)
        add_upstream(instance, "far", f"http://127.0.0.1:{port}/v1")
        add_table(instance, "potion", potion())
        secret = new_account(instance, "acme")
        foreign = new_account(instance, "other")
        yield Running(instance, instance.start(), secret, foreign)
        assert instance.stop() == 0, instance.log_tail()
