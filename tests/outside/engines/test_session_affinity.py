"""Two real upstream servers behind one model: a conversation stays with one, and survives it."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from tests.outside.engines.lineup import mock_port
from tests.support.instances import INPUT_PICO, OUTPUT_PICO, in_booth, new_account
from tokenbooth.booth import Booth
from tokenbooth.cli.client import BoothClient
from tokenbooth.control import prices
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.engines.scripted import ScriptOptions
from tokenbooth.engines.scripted.values import AnswerKind
from tokenbooth.money.prices.service import PriceAsk
from tokenbooth.proving.instance import PrivateInstance

SYSTEM = {"role": "system", "content": "You are a patient teacher of sums. " * 20}
SESSIONS = [f"session-{number}" for number in range(24)]


@dataclass(frozen=True)
class Scene:
    """``ends`` stops the server that says this text."""

    client: OpenAI
    reports: BoothClient
    ends: Mapping[str, ExitStack]

    def say(self, session: str, *more: str, header: bool = False) -> Any:
        messages: list[Any] = [SYSTEM, *({"role": "user", "content": text} for text in more)]
        named: Any = (
            {"extra_headers": {"x-session-affinity": session}}
            if header
            else {"prompt_cache_key": session}
        )
        chats = self.client.chat.completions.with_raw_response
        return chats.create(model="twin", messages=messages, **named)

    def where(self, session: str, *more: str, header: bool = False) -> str:
        answer = self.say(session, *more, header=header).parse()
        return str(answer.choices[0].message.content)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    place: Path = tmp_path_factory.mktemp("twins")
    with ExitStack() as all_of, PrivateInstance(place / "booth") as instance:
        ends, typed = {}, []
        for text in ("one", "two"):
            script = ScriptOptions(answer=AnswerKind.TEXT, text=text, cached_tokens=100)
            ends[text] = all_of.enter_context(ExitStack())
            port = ends[text].enter_context(mock_port(script=script))
            typed += ["--upstream", f"http://127.0.0.1:{port}/v1"]
        instance.command("model", "add", "twin", *typed, "--context", "8192")

        def price(booth: Booth, op: Op, tx: Tx) -> None:
            ask = PriceAsk("twin", INPUT_PICO, OUTPUT_PICO)
            prices.price_model(op, tx, ask, booth.ids, confirmed=True)

        in_booth(instance, price)
        secret = new_account(instance, "acme")
        base_url = instance.start().base_url
        client = OpenAI(base_url=f"{base_url}/v1", api_key=secret, max_retries=0)
        yield Scene(client, BoothClient(base_url, secret), ends)


def test_conversations_keep_to_one_server_each_and_outlive_it(scene: Scene) -> None:
    homes = {session: scene.where(session, "One and one?") for session in SESSIONS}
    assert set(homes.values()) == {"one", "two"}
    again = {session: scene.where(session, "One and one?", "And two?") for session in SESSIONS}
    assert again == homes
    assert scene.where(SESSIONS[0], "Hello", header=True) == homes[SESSIONS[0]]
    answer = scene.say(SESSIONS[0], "Hello", "And two? " * 20)
    assert "reason" not in answer.headers["x-tokenbooth-prefix"]
    changed = scene.say(SESSIONS[0], "Two and two? " * 20)
    assert "reason=input_changed" in changed.headers["x-tokenbooth-prefix"]
    record = scene.reports.get(f"/v1/requests/{changed.headers['x-request-id']}")
    assert record["cache"]["reason"] == "input_changed"
    assert record["cache"]["cached_tokens"] == 100
    assert record["cache"]["matched_tokens"] > 100
    scene.ends["one"].close()
    after = {session: scene.where(session, "Still there?") for session in SESSIONS}
    assert set(after.values()) == {"two"}
