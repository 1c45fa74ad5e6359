"""Commands run in this process on a data directory of their own, made once and copied."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tokenbooth.cli.app import run


@dataclass(frozen=True)
class Said:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture(scope="session")
def made_booth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory straight after ``init``."""
    home = tmp_path_factory.mktemp("made") / "booth"
    assert run(["init", "--json", "--data-dir", str(home)]) == 0
    return home


@pytest.fixture
def home(made_booth: Path, tmp_path: Path) -> Path:
    target = tmp_path / "booth"
    shutil.copytree(made_booth, target)
    return target


@pytest.fixture
def command(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """``command("org", "list")`` on the test's own data directory."""
    for variable in ("TOKENBOOTH_API_KEY", "TOKENBOOTH_BASE_URL", "TOKENBOOTH_DATA_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    capsys.readouterr()

    def call(*arguments: str) -> Said:
        code = run([*arguments, "--data-dir", str(home)])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def ask(command: Command) -> Callable[..., Any]:
    """The JSON document of a command that must succeed."""

    def call(*arguments: str) -> Any:
        said = command(*arguments, "--json")
        assert said.code == 0, said.err
        return said.document

    return call
