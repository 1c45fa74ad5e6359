"""Plays a drill as a stranger would: the command, in a process of its own."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenbooth.proving.child import clean_environment, own_command

PLAY_WAIT_S = 400


def drill(
    name: str,
    *options: str,
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, Any], str]:
    """The exit status, the report, and what stood on stderr."""
    done = subprocess.run(
        own_command("drill", name, "--json", *options),
        capture_output=True,
        cwd=cwd,
        env=clean_environment(variables or {}),
        timeout=PLAY_WAIT_S,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stderr.decode()
