"""Workers and their parent that die, drain and change in number: the books stay exact."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attack import until
from tests.support.instances import Script, add_scripts, new_account
from tokenbooth.proving import accounts
from tokenbooth.proving.bench.cpu import children
from tokenbooth.proving.client import Address, Ask, Exchange, WholeAnswer, call, json_ask
from tokenbooth.proving.instance import PrivateInstance
from tokenbooth.proving.wire import BrokenWire

CHAT = "/v1/chat/completions"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[PrivateInstance]:
    with PrivateInstance(tmp_path / "booth", settings={"gateway.workers": "3"}) as made:
        add_scripts(made, Script("m"), Script("slow", {"chunks": "40", "chunk_delay_ms": "15"}))
        yield made


def asked(model: str, secret: str, **more: object):
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
    return json_ask(CHAT, secret, body)


async def loaded(
    address: Address, secret: str, count: int, then: object = None
) -> list[WholeAnswer]:
    """Answers that came; ``then`` runs while the others are under way."""

    async def one() -> WholeAnswer | None:
        try:
            return await call(address, asked("slow", secret))
        except (OSError, BrokenWire):
            return None

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    if callable(then):
        await asyncio.sleep(0.2)
        then()
    return [answer for answer in await asyncio.gather(*tasks) if answer is not None]


def crew(instance: PrivateInstance) -> list[int]:
    """The control process, then the workers."""
    assert instance.pid is not None
    return sorted(children(instance.pid))


def charged_nano(instance: PrivateInstance, address: Address, secret: str) -> int:
    assert instance.command("ledger", "verify")["sound"] is True
    found = asyncio.run(accounts.records(address, secret))
    return sum(record.cost_nano for record in found)


def cost_nano(answer: WholeAnswer) -> int:
    return int(answer.document()["usage"]["cost"]["amount_nano"])  # type: ignore[call-overload,index]


def test_a_killed_worker_costs_its_own_calls_and_no_money(instance: PrivateInstance) -> None:
    secret = new_account(instance, "acme")
    address = instance.start()
    before = crew(instance)
    assert len(before) == 4

    def kill() -> None:
        os.kill(before[-1], signal.SIGKILL)

    answers = asyncio.run(loaded(address, secret, 30, kill))
    assert 0 < len(answers) < 30
    until(lambda: len(crew(instance)) == 4 and b'"workers":3' in ready(address))
    after = asyncio.run(loaded(address, secret, 12))
    assert [answer.status for answer in (*answers, *after)] == [200] * (len(answers) + 12)
    assert charged_nano(instance, address, secret) == sum(map(cost_nano, (*answers, *after)))
    # The control process too: calls go on, and what it answers is waited for.
    os.kill(crew(instance)[0], signal.SIGKILL)
    assert asyncio.run(call(address, asked("m", secret))).status == 200
    assert b"ready" in ready(address)
    assert instance.stop() == 0


def ready(address: Address) -> bytes:
    return asyncio.run(call(address, Ask("GET", "/readyz"))).body


def test_a_stop_lets_every_stream_end(instance: PrivateInstance) -> None:
    secret = new_account(instance, "acme")
    address = instance.start()

    async def scene() -> list[list[str]]:
        async def stream() -> list[str]:
            async with Exchange(address, asked("slow", secret, stream=True)) as exchange:
                await exchange.head()
                opened.release()
                return [event async for event in exchange.events()]

        opened = asyncio.Semaphore(0)
        streams = [asyncio.create_task(stream()) for _ in range(6)]
        for _ in streams:
            await opened.acquire()
        stopping = asyncio.create_task(asyncio.to_thread(instance.stop))
        heard = await asyncio.gather(*streams)
        assert await stopping == 0
        return heard

    heard = asyncio.run(scene())
    assert [each[-1] for each in heard] == ["[DONE]"] * 6
    assert instance.command("ledger", "verify")["sound"] is True


def test_what_workers_left_is_booked_when_they_are_fewer(
    instance: PrivateInstance, tmp_path: Path
) -> None:
    secret = new_account(instance, "acme")
    address = instance.start()
    answers = asyncio.run(loaded(address, secret, 12))
    instance.kill()
    with PrivateInstance(tmp_path / "booth") as alone:
        address = alone.start()
        assert charged_nano(alone, address, secret) == sum(map(cost_nano, answers))
        names = {row["name"]: row for row in alone.command("lease", "list")["data"]}
        assert {"main", "main-w1", "main-w2", "main-w3"} <= names.keys()
        assert all(not names[name]["leases"] for name in names if name != "main")
        assert alone.stop() == 0
