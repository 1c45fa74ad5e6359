"""Commands that start something heavy: they hand on what was typed, and say what came of it."""

import asyncio
import importlib.util
import json
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tokenbooth import boot
from tokenbooth.catalog.models.service import EngineKind
from tokenbooth.catalog.weights import service as weights
from tokenbooth.cli import first_serve, first_steps
from tokenbooth.config import Settings
from tokenbooth.control.instance import InstancePaths
from tokenbooth.control.serving import Serving, serving_lock
from tokenbooth.control.up_key import read_up_key
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.loop import run_on_fast_loop
from tokenbooth.proving import mock_upstream

Ready = Callable[[Serving], Awaitable[None]]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Stands for the server: it is ready at once and stops."""
    seen: list[Settings] = []

    async def run_server(settings: Settings, ready: Ready, link: object = None) -> None:
        seen.append(settings)
        await ready(Serving(4711, settings.edge.host, settings.edge.port or 8123))
        await asyncio.sleep(0)

    monkeypatch.setattr(boot, "run_server", run_server)
    monkeypatch.setattr(first_serve, "run_server", run_server)
    return seen


def test_serve_says_where(command: Command, served: list[Settings]) -> None:
    said = command("serve", "--port", "0", "--host", "127.0.0.1", "--json")
    assert json.loads(said.out) == {"base_url": "http://127.0.0.1:8123/v1", "pid": 4711}
    assert "http://127.0.0.1:8000/v1" in command("serve").out
    assert [settings.edge.port for settings in served] == [0, 8000]


def test_the_fast_loop_returns_and_raises() -> None:
    async def work() -> str:
        return type(asyncio.get_running_loop()).__module__

    async def fail() -> None:
        raise Problem(Code.INTERNAL, "x")

    assert run_on_fast_loop(work()).startswith(("uvloop", "asyncio"))
    with pytest.raises(Problem):
        run_on_fast_loop(fail())


def test_the_standard_loop_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> str:
        return type(asyncio.get_running_loop()).__module__

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert run_on_fast_loop(work()).startswith("asyncio")


@pytest.fixture
def gguf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Weights that are there already, and an engine for them."""
    path = tmp_path / "small.gguf"
    path.write_bytes(b"GGUF")
    monkeypatch.setattr(first_steps, "pull_weights", lambda name, directory: path)
    monkeypatch.setattr(first_steps, "local_engine", lambda name, also: EngineKind.EMBEDDED)
    return path


def test_up_prepares_once_and_keeps_the_key(home: Path, gguf: Path) -> None:
    first = first_steps.prepare(home, None, None, once=False)
    second = first_steps.prepare(home, None, None, once=False)
    assert first.account.secret == second.account.secret == read_up_key(home)
    assert first.account.made
    assert second.account.made == ()
    assert second.settings.log.level == "warning"


def test_up_makes_the_directory_it_needs(tmp_path: Path, gguf: Path) -> None:
    home = tmp_path / "fresh"
    assert first_steps.prepare(home, "127.0.0.1", 0, once=False).settings.edge.port == 0
    assert InstancePaths(home).pepper.is_file()


def test_up_keeps_what_the_operator_set(home: Path, gguf: Path) -> None:
    (home / "tokenbooth.toml").write_text("[edge]\nport = 8124\n[log]\nlevel = 'debug'\n")
    prepared = first_steps.prepare(home, None, None, once=False)
    assert prepared.settings.edge.port == 8124
    assert prepared.settings.log.level == "debug"


def test_a_busy_default_port_gives_way() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert first_steps.free_port("127.0.0.1", port) == 0
    assert first_steps.free_port("127.0.0.1", 0) == 0


def test_once_without_the_package_names_the_command(
    command: Command, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = command("up", "--once")
    assert said.code == 1
    assert f"{sys.executable} -m pip install 'tokenbooth[openai]'" in said.err


def test_without_an_engine_nothing_is_made(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def choose(name: str | None, also: tuple[str, ...]) -> EngineKind:
        raise Problem(Code.ENGINE_NOT_INSTALLED, "Run: python -m pip install 'tokenbooth[x]'")

    monkeypatch.setattr(first_steps, "local_engine", choose)
    with pytest.raises(Problem):
        first_steps.prepare(tmp_path / "never", None, None, once=False)
    assert not (tmp_path / "never").exists()
    assert "pip install" in command("up").err


class ReadyBooth:
    """Stands for the HTTP client of a booth that is up."""

    def __init__(self, base_url: str, key_secret: str | None) -> None:
        self.base_url = base_url

    def is_ready(self) -> bool:
        return True


def test_up_prints_a_call_that_can_be_copied(
    command: Command, gguf: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(first_serve, "BoothClient", ReadyBooth)

    async def run_server(settings: Settings, ready: Ready, link: object = None) -> None:
        await ready(Serving(1, "127.0.0.1", 8123))
        (step,) = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        await asyncio.wait({step})

    monkeypatch.setattr(first_serve, "run_server", run_server)
    said = command("up")
    assert said.code == 0
    assert f"API key    {read_up_key(home)}" in said.out
    assert "curl -N http://127.0.0.1:8123/v1/chat/completions" in said.out
    document = json.loads(command("up", "--json").out)
    assert document["api_key"] == read_up_key(home)
    assert document["made"] == []


def test_a_model_that_never_comes_up_stops_the_server(
    command: Command, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NeverReady(ReadyBooth):
        def is_ready(self) -> bool:
            return False

    stopped = asyncio.Event()

    async def run_server(settings: Settings, ready: Ready, link: object = None) -> None:
        await ready(Serving(1, "127.0.0.1", 8123))
        await stopped.wait()

    monkeypatch.setattr(first_serve, "BoothClient", NeverReady)
    monkeypatch.setattr(first_serve, "READY_WAIT_S", -1)
    monkeypatch.setattr(first_serve, "_stop", stopped.set)
    monkeypatch.setattr(first_serve, "run_server", run_server)
    said = command("up")
    assert said.code == 1
    assert "did not come up" in said.err


def test_a_server_that_ends_early_ends_up_too(
    command: Command, gguf: Path, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waiting(ReadyBooth):
        def is_ready(self) -> bool:
            return False

    monkeypatch.setattr(first_serve, "BoothClient", Waiting)
    assert command("up").code == 0
    assert len(served) == 1


def test_doctor_finds_a_whole_booth_whole_and_a_broken_one_broken(
    command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENBOOTH_EDGE__PORT", "0")
    said = command("doctor", "--json")
    names = {finding["name"] for finding in said.document["findings"]}
    assert {"python", "schema", "ledger", "port", "weights", "pth files"} <= names
    assert all(f["ok"] for f in said.document["findings"] if f["name"] in {"schema", "ledger"})
    InstancePaths(home).pepper.chmod(0o644)
    broken = command("doctor")
    assert broken.code == 1
    assert "chmod go=" in broken.out


def test_doctor_sees_changed_weights_and_a_missing_booth(
    command: Command, home: Path, tmp_path: Path
) -> None:
    known = next(iter(weights.KNOWN.values()))
    (InstancePaths(home).weights / known.file_name).write_bytes(b"GGUF but another")
    found = command("doctor", "--json").document["findings"]
    (finding,) = [each for each in found if each["name"] == "weights"]
    assert not finding["ok"]
    assert known.name in finding["cure"]


def test_doctor_needs_no_booth_to_say_what_is_missing(
    command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home)
    said = command("doctor", "--json")
    assert said.code == 1
    found = {each["name"]: each for each in said.document["findings"]}
    assert found["data directory"]["cure"] == "tokenbooth init"
    assert found["schema"]["cure"] == "tokenbooth init"
    assert "ledger" not in found
    assert not home.exists()


def test_doctor_knows_its_own_server(command: Command, home: Path) -> None:
    with serving_lock(home) as note:
        note.write(Serving(1, "127.0.0.1", 8123))
        found = command("doctor", "--json").document["findings"]
    (port,) = [each for each in found if each["name"] == "port"]
    assert port["ok"]
    assert "8123" in port["text"]


def test_pull_tells_where_the_weights_are(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def pull(wanted: Any, directory: Path, progress: Callable[[int, int], None]) -> Path:
        progress(1, 2)
        path = tmp_path / "w.gguf"
        path.write_bytes(b"GGUF")
        return path

    monkeypatch.setattr(weights, "pull", pull)
    assert command("model", "pull", "smollm2-135m", "--json").document["bytes"] == 4
    assert "tokenbooth model add" in command("model", "pull", "smollm2-135m").out
    assert command("model", "pull", "nothing").code == 1


def test_the_mock_gets_what_was_typed(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, mock_upstream.MockOptions]] = []
    monkeypatch.setattr(
        mock_upstream, "run_mock_upstream", lambda port, options: seen.append((port, options))
    )
    typed = (
        "--port", "8125", "--chunks", "3", "--chunk-delay-ms", "5", "--wire-fault", "cut",
        "--fault-after", "2", "--option", "usage=missing", "--key", "sk",
    )  # fmt: skip
    assert command("mock-upstream", *typed).code == 0
    ((port, options),) = seen
    assert port == 8125
    assert (options.script.chunks, options.script.chunk_delay_ms) == (3, 5)
    assert options.script.usage.value == "missing"
    assert (options.wire_fault.value, options.fault_after_deltas, options.key) == ("cut", 2, "sk")
    assert command("mock-upstream", "--wire-fault", "magic").code == 1
    assert command("mock-upstream", "--option", "nothing=1").code == 1
