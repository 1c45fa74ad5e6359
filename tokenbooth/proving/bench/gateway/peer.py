"""Somebody else's gateway in front of the same mock upstream: LiteLLM, from its own environment.

It runs as its documentation starts it, with one worker, a master key and no database: no keys of
its own, no spending written down. That is less work than the booth does.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.proving.bench.gateway.nginx import free_port
from tokenbooth.proving.bench.gateway.plan import mock_path
from tokenbooth.proving.bench.gateway.starting import first_answer
from tokenbooth.proving.child import Child, clean_environment
from tokenbooth.proving.client import Address

SECRET = "sk-bench"  # noqa: S105 - of a server that lives for minutes, on this machine alone
MODEL = "mock"
VERSION_WAIT_S = 60
START_WAIT_S = 180
VERSION_OF = "from importlib.metadata import version; print(version('litellm'))"
QUIET = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


@dataclass(frozen=True, slots=True)
class Peer:
    """One that serves; ``start_ms`` is from its start to its first good answer."""

    version: str
    port: int
    pid: int
    start_ms: int


def litellm_version(python: Path | None) -> str:
    """Raises Problem INVALID_VALUE where that Python has none."""
    if python is not None and python.is_file():
        done = subprocess.run(  # noqa: S603  the interpreter that the caller named
            [python, "-c", VERSION_OF], capture_output=True, timeout=VERSION_WAIT_S, check=False
        )
        if done.returncode == 0:
            return done.stdout.decode().strip()
    raise Problem(
        Code.INVALID_VALUE,
        "No LiteLLM was found. Make an environment with the package `litellm[proxy]`, and give its "
        "interpreter as --peer-python.",
    )


@contextmanager
def litellm(python: Path, folder: Path, upstream_port: int, ask_body: bytes) -> Iterator[Peer]:
    """Serves until the end of the block. Raises Problem, and InstanceFault if it does not start."""
    version, port = litellm_version(python), free_port()
    folder.mkdir()
    config = folder / "config.yaml"
    # JSON is YAML.
    config.write_text(json.dumps(_config(upstream_port)))
    command = [
        *(str(python.parent / "litellm"), "--config", str(config), "--num_workers", "1"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    with Child(command, folder / "log", clean_environment(QUIET)) as child:
        address = Address("127.0.0.1", port)
        start_ms = first_answer(child, address, ask_body, SECRET, START_WAIT_S)
        pid = child.pid
        assert pid is not None, "it was started just now"
        yield Peer(version, port, pid, start_ms)


def _config(upstream_port: int) -> dict[str, object]:
    upstream = {
        "model": f"openai/{MODEL}",
        "api_base": f"http://127.0.0.1:{upstream_port}{mock_path(1, 0)}/v1",
        "api_key": "none",
    }
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": upstream}],
        "litellm_settings": {"num_retries": 0, "telemetry": False},
        "general_settings": {"master_key": SECRET},
    }
