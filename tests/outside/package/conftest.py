"""The built wheel, and the empty environments into which a stranger installs it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOCK = ROOT / "locks" / "up.txt"
COMMAND_WAIT_S = 400
# How this machine reaches its package index; nothing else of our environment is handed on.
WAYS_TO_THE_INDEX = ("PIP_", "SSL_CERT_", "REQUESTS_CA_", "HTTP_", "HTTPS_", "NO_PROXY", "ALL_")


@dataclass(frozen=True)
class Ran:
    """What a finished command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel; its home and its working directory hold nothing ours.

    The working directory holds traps instead: files with the names of modules, as a careless
    directory of a user might.
    """

    environment: Path
    elsewhere: Path

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    @property
    def program(self) -> Path:
        return self.environment / "bin" / "tokenbooth"

    def variables(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k.upper().startswith(WAYS_TO_THE_INDEX)}
        return {**kept, "PATH": os.defpath, "HOME": str(self.elsewhere / "home")}

    def run(self, *command: str | Path) -> Ran:
        """Any program, as the stranger's shell would start it."""
        done = subprocess.run(
            command,
            cwd=self.elsewhere,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_WAIT_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def tokenbooth(self, *arguments: str | Path) -> Ran:
        return self.run(self.program, *arguments)

    @contextmanager
    def started(self, *arguments: str | Path) -> Iterator["subprocess.Popen[str]"]:
        """A running command, ended on every way out; its errors stand in ``elsewhere/errors``."""
        with (
            (self.elsewhere / "errors").open("w") as errors,
            subprocess.Popen(
                [self.program, *arguments],
                cwd=self.elsewhere,
                env=self.variables(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as child,
        ):
            try:
                yield child
            finally:
                child.kill()

    @property
    def errors(self) -> str:
        return (self.elsewhere / "errors").read_text()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source archive, and with the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    _must(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def whole(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel with the extra ``up``: what ``scripts/up`` installs, byte for byte."""
    made = _empty(tmp_path_factory.mktemp("whole"))
    _pip(made, "--require-hashes", "--requirement", LOCK)
    _pip(made, "--no-index", f"tokenbooth[up] @ {wheel.as_uri()}")
    return made


@pytest.fixture(scope="session")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel alone, with what it cannot do without, in the versions of the lock."""
    folder = tmp_path_factory.mktemp("base")
    made = _empty(folder)
    versions = folder / "versions.txt"
    lines = LOCK.read_text().splitlines()
    versions.write_text(
        "\n".join(line.rstrip("\\ ") for line in lines if "==" in line.split(";")[0])
    )
    _pip(made, "--constraint", versions, wheel)
    return made


def _empty(folder: Path) -> Installed:
    """Without even pip: the wheel must bring what it needs."""
    made = Installed(folder / "environment", folder / "elsewhere")
    _must(sys.executable, "-m", "venv", "--without-pip", made.environment)
    (made.elsewhere / "home").mkdir(parents=True)
    for trap in ("tokenbooth", "pip", "numpy", "json", "typing"):
        (made.elsewhere / f"{trap}.py").write_text("raise SystemExit('trapped')\n")
    return made


def _pip(made: Installed, *arguments: str | Path) -> None:
    options = ("--quiet", "--no-compile", "--no-input", "--disable-pip-version-check")
    _must(sys.executable, "-m", "pip", "--python", made.python, "install", *options, *arguments)


def _must(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
