"""``chat`` finds its key and its booth, and talks."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.unit.cli.conftest import Command
from tokenbooth.cli import client as client_module
from tokenbooth.control.serving import Serving, serving_lock
from tokenbooth.control.up_key import keep_up_key


class Echo:
    """Stands for the HTTP client: answers each turn with its last message."""

    made: ClassVar[list["Echo"]] = []

    def __init__(self, base_url: str, key_secret: str | None) -> None:
        self.base_url, self.key_secret = base_url, key_secret
        Echo.made.append(self)

    def stream(self, path: str, body: Any) -> Iterator[dict[str, Any]]:
        yield {"choices": [{"delta": {"content": body["messages"][-1]["content"].upper()}}]}
        yield {"choices": [], "usage": {"cost": {"amount_nano": 5, "currency": "USD"}}}


@pytest.fixture(autouse=True)
def echo(monkeypatch: pytest.MonkeyPatch) -> type[Echo]:
    monkeypatch.setattr(client_module, "BoothClient", Echo)
    Echo.made.clear()
    return Echo


def test_one_message_is_answered_with_its_cost(command: Command) -> None:
    said = command("chat", "m", "-m", "hello", "--key", "k", "--base-url", "http://h/v1")
    assert said.code == 0
    assert said.out == "HELLO\n[0.000000005 USD; 0.000000005 USD in all]\n"
    assert (Echo.made[0].base_url, Echo.made[0].key_secret) == ("http://h/v1", "k")


def test_a_conversation_is_read_from_standard_input(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\n\nthree\n"))
    said = command("chat", "m", "--key", "k", "--base-url", "http://h", "--json")
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [each["answer"] for each in found] == ["ONE", "TWO"]


def test_a_terminal_gets_a_prompt(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("hi\n"))
    said = command("chat", "m", "--key", "k", "--base-url", "http://h")
    assert said.out.startswith("> HI")


def test_key_and_address_come_from_the_environment(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENBOOTH_API_KEY", "from-env")
    monkeypatch.setenv("TOKENBOOTH_BASE_URL", "http://env")
    assert command("chat", "m", "-m", "x").code == 0
    assert (Echo.made[0].base_url, Echo.made[0].key_secret) == ("http://env", "from-env")


def test_on_the_machine_of_up_nothing_has_to_be_given(command: Command, home: Path) -> None:
    keep_up_key(home, "tb_live_kept")
    with serving_lock(home) as note:
        note.write(Serving(1, "127.0.0.1", 8123))
        assert command("chat", "m", "-m", "x").code == 0
    assert (Echo.made[0].base_url, Echo.made[0].key_secret) == (
        "http://127.0.0.1:8123",
        "tb_live_kept",
    )


def test_a_missing_key_or_booth_is_named(command: Command, home: Path) -> None:
    assert "TOKENBOOTH_API_KEY" in command("chat", "m", "-m", "x").err
    keep_up_key(home, "tb_live_kept")
    assert "tokenbooth up" in command("chat", "m", "-m", "x").err
