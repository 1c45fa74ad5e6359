"""The installed command, run as a stranger would: in processes of its own."""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tokenbooth.proving.child import clean_environment, own_command

COMMAND_WAIT_S = 400


@dataclass(frozen=True)
class Ran:
    """What a finished command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run("org", "list", store_url=…)`` on the test's own data directory."""

    def command(
        *arguments: str, typed: str = "", variables: Mapping[str, str] | None = None
    ) -> Ran:
        done = subprocess.run(
            own_command(*arguments, "--data-dir", str(tmp_path / "booth")),
            env=clean_environment(variables or {}),
            input=typed,
            capture_output=True,
            text=True,
            timeout=COMMAND_WAIT_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return command
