"""A booth of two data planes and a control process, as its callers see it."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import openai
import pytest

from tests.support.instances import Script, add_scripts, new_account
from tokenbooth.core.caller import CallLimits
from tokenbooth.proving import accounts
from tokenbooth.proving.client import Address, Ask, WholeAnswer, bearer, call, json_ask
from tokenbooth.proving.instance import PrivateInstance

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hi"}]
TWO = {"gateway.workers": "2"}


@dataclass(frozen=True)
class Running:
    instance: PrivateInstance
    address: Address
    secret: str
    paced: str
    alone: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with PrivateInstance(tmp_path_factory.mktemp("fleet"), settings=TWO) as instance:
        add_scripts(
            instance,
            Script("m"),
            Script("seats", {"chunks": "20", "chunk_delay_ms": "20"}, 3, 0),
            Script("line", {"chunks": "4", "chunk_delay_ms": "5"}, 1, 64),
            Script("slow", {"chunks": "20", "chunk_delay_ms": "20"}),
        )
        secret = new_account(instance, "acme")
        paced = new_account(instance, "paced", limits=CallLimits(20, None, None))
        alone = new_account(instance, "alone", limits=CallLimits(None, None, 2))
        yield Running(instance, instance.start(), secret, paced, alone)
        assert instance.stop() == 0, instance.log_tail()


def calls(address: Address, secret: str, model: str, count: int) -> list[WholeAnswer]:
    """At once, each on a connection of its own, so that the kernel deals them out."""
    ask = json_ask(CHAT, secret, {"model": model, "messages": HELLO})

    async def scene() -> list[WholeAnswer]:
        return await asyncio.gather(*(call(address, ask) for _ in range(count)))

    return asyncio.run(scene())


def statuses(answers: list[WholeAnswer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


def get(address: Address, path: str, secret: str = "", method: str = "GET") -> WholeAnswer:
    return asyncio.run(call(address, Ask(method, path, bearer(secret) if secret else ())))


def test_the_official_client_calls_and_reads_what_it_was_charged(running):
    spent = 0
    before = asyncio.run(accounts.balance_nano(running.address, running.secret))
    for _ in range(6):
        with openai.OpenAI(
            api_key=running.secret, base_url=f"{running.address.base_url}/v1", max_retries=0
        ) as client:
            answer = client.chat.completions.create(model="m", messages=HELLO)
            spent += answer.usage.model_extra["cost"]["amount_nano"]
            assert "m" in {model.id for model in client.models.list()}
            after = client.get("/balance", cast_to=object)["spendable"]["amount_nano"]
            assert after == before - spent


def test_a_rate_limit_holds_over_both_workers(running):
    found = calls(running.address, running.paced, "m", 32)
    assert statuses(found) == {200: 20, 429: 12}
    assert all(int(a.headers["retry-after"]) >= 1 for a in found if a.status == 429)


def test_calls_at_once_are_counted_over_both_workers(running):
    assert statuses(calls(running.address, running.alone, "slow", 12)) == {200: 2, 429: 10}
    assert statuses(calls(running.address, running.alone, "m", 1)) == {200: 1}


def test_places_of_a_model_are_shared(running):
    found = statuses(calls(running.address, running.secret, "seats", 12))
    assert found[200] == 3
    assert sum(found.values()) == 12
    assert statuses(calls(running.address, running.secret, "seats", 1)) == {200: 1}


def test_one_place_is_handed_from_worker_to_worker(running):
    assert statuses(calls(running.address, running.secret, "line", 24)) == {200: 24}


def test_one_key_of_idempotency_is_one_call_for_all_workers(running):
    ask = json_ask(CHAT, running.secret, {"model": "m", "messages": HELLO})
    keyed = Ask(ask.method, ask.path, (*ask.headers, ("idempotency-key", "once")), ask.body)
    first = asyncio.run(call(running.address, keyed))
    again = [asyncio.run(call(running.address, keyed)) for _ in range(6)]
    assert {answer.body for answer in again} == {first.body}
    assert first.status == 200


def test_what_is_no_call_is_answered_by_the_control_process(running):
    address = running.address
    assert get(address, "/readyz").document()["workers"] == 2
    missing = get(address, "/nothing%20here?x=1", running.secret)
    assert missing.status == 404
    assert b"/nothing here" in missing.body
    assert missing.headers["x-request-id"] in missing.body.decode()
    wrong = get(address, CHAT, running.secret)
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    models = get(address, "/v1/models", running.secret)
    alone = get(address, "/v1/models", running.secret, "HEAD")
    assert (alone.body, alone.headers["content-length"]) == (b"", str(len(models.body)))
    assert get(address, "/v1/balance").status == 401


def test_a_file_that_came_to_one_is_read_by_all(running):
    with openai.OpenAI(
        api_key=running.secret, base_url=f"{running.address.base_url}/v1", max_retries=0
    ) as client:
        made = client.files.create(file=("a.txt", b"words " * 40_000), purpose="user_data")
    paths = (f"/v1/files/{made.id}", f"/v1/files/{made.id}/content")
    for _ in range(3):
        one, content = (get(running.address, path, running.secret) for path in paths)
        assert json.loads(one.body)["id"] == made.id
        assert content.body == b"words " * 40_000


def test_metrics_are_those_of_all_processes(running):
    def ended() -> float:
        lines = get(running.address, "/metrics").body.decode().splitlines()
        of_m = [line for line in lines if line.startswith('tokenbooth_calls_total{model="m"')]
        return sum(float(line.rpartition(" ")[2]) for line in of_m)

    before = ended()
    calls(running.address, running.secret, "m", 10)
    assert ended() == before + 10


def test_a_background_response_is_followed_and_cancelled_from_anywhere(running):
    ask = {"model": "slow", "input": "hi", "background": True, "store": True}
    made = asyncio.run(call(running.address, json_ask("/v1/responses", running.secret, ask)))
    path = f"/v1/responses/{made.document()['id']}"
    cancel = json_ask(f"{path}/cancel", running.secret, {})
    assert asyncio.run(call(running.address, cancel)).document()["status"] == "cancelled"
    for _ in range(4):
        assert get(running.address, path, running.secret).document()["status"] == "cancelled"
