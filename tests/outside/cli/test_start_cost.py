"""The command starts light: no engine, no server, no database library before they are needed."""

import subprocess
import sys

import pytest

from tokenbooth.proving.child import clean_environment

HEAVY = ("openvino_genai", "xllamacpp", "uvicorn", "sqlalchemy", "alembic", "asyncpg", "openai")


def loaded_after(statement: str) -> set[str]:
    """The top-level modules that a fresh Python has loaded after ``statement``."""
    program = f"import sys\n{statement}\nprint(' '.join(m for m in sys.modules if '.' not in m))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment({}),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_help_loads_nothing_heavy() -> None:
    found = loaded_after("from tokenbooth.cli.app import run\nrun(['--version'])")
    assert found.isdisjoint(HEAVY)
    assert "typer" in found


@pytest.mark.parametrize("extra", ["openvino_genai", "xllamacpp", "openai", "asyncpg"])
def test_composing_everything_loads_no_extra(extra: str) -> None:
    assert extra not in loaded_after("import tokenbooth.boot")
