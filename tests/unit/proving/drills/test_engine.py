"""The mock as a process, without the process; whole drills start it outside."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.wire_server import answers, body_answer, wire_server
from tokenbooth.proving.drills import engine as module
from tokenbooth.proving.drills.engine import MockEngine, free_port


def test_it_is_the_own_mock_on_a_port_that_stays(tmp_path: Path) -> None:
    engine = MockEngine(tmp_path, "--chunks", "40")
    command = " ".join(engine._child._command)
    assert f"tokenbooth mock-upstream --port {engine.address.port} --chunks 40" in command
    assert engine.url == f"http://127.0.0.1:{engine.address.port}/v1"


@pytest.mark.parametrize("status", [200, 401])
def test_a_server_that_answers_anything_is_up(status: int, tmp_path: Path) -> None:
    engine = MockEngine(tmp_path)

    async def play() -> bool:
        async with wire_server(answers(body_answer(b"{}", status))) as engine.address:
            await engine.up()
        return True

    assert asyncio.run(play())


def test_an_engine_that_stays_away_is_told_after_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0)
    engine = MockEngine(tmp_path)
    with pytest.raises(TimeoutError, match=f"no engine at {engine.address.base_url}"):
        asyncio.run(engine.up(within_s=0))


def test_it_tells_who_left_it(tmp_path: Path) -> None:
    engine = MockEngine(tmp_path)

    async def play() -> object:
        noted = [{"text": "a", "began_us": 1, "left_us": 5}, {"text": "b", "left_us": None}]
        told = json.dumps({"data": noted}).encode()
        async with wire_server(answers(body_answer(told))) as engine.address:
            return await engine.calls()

    assert asyncio.run(play()) == {"a": 5, "b": None}


def test_a_free_port_is_a_port() -> None:
    assert 1024 <= free_port() <= 65535
