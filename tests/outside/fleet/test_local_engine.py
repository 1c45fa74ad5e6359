"""A model in a child process: one child, whichever worker is called."""

import asyncio
import os
import signal
from pathlib import Path

from tests.support.attack import until
from tests.support.instances import add_local, new_account
from tests.support.weights import smollm2
from tokenbooth.proving.bench.cpu import children
from tokenbooth.proving.client import WholeAnswer, call, json_ask
from tokenbooth.proving.instance import PrivateInstance


def engines(instance: PrivateInstance) -> list[int]:
    """The children of the processes of the booth."""
    assert instance.pid is not None
    return [each for process in children(instance.pid) for each in children(process)]


def test_workers_share_one_child_and_outlive_it(tmp_path: Path) -> None:
    with PrivateInstance(tmp_path / "booth", settings={"gateway.workers": "2"}) as instance:
        add_local(instance, "small", str(smollm2()))
        secret = new_account(instance, "acme")
        address = instance.start(within_s=120)
        ask = json_ask(
            "/v1/chat/completions",
            secret,
            {
                "model": "small",
                "messages": [{"role": "user", "content": "Say a word."}],
                "max_tokens": 4,
                "temperature": 0,
            },
        )

        async def several() -> list[WholeAnswer]:
            return await asyncio.gather(*(call(address, ask) for _ in range(6)))

        answers = asyncio.run(several())
        assert [answer.status for answer in answers] == [200] * 6
        texts = {
            answer.document()["choices"][0]["message"]["content"]  # type: ignore[index]
            for answer in answers
        }
        assert len(texts) == 1
        (child,) = engines(instance)
        os.kill(child, signal.SIGKILL)
        until(lambda: engines(instance) and engines(instance) != [child])
        assert instance.replicas[0].wait_ready() == address
        until(lambda: {answer.status for answer in asyncio.run(several())} == {200})
        assert instance.stop() == 0, instance.log_tail()
        assert instance.command("ledger", "verify")["sound"] is True
