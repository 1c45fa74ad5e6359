"""Each import contract of ``pyproject.toml`` finds its planted violation.

The contracts run over a small package of the same shape, so that what they refuse is the planted
import alone.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
LINTER = Path(sys.executable).parent / "lint-imports"
NOUN_FILES = ("values", "rules", "sql", "service")


def layer_names() -> list[str]:
    (contract,) = [contract for contract in CONTRACTS if contract["type"] == "layers"]
    return [name.strip() for layer in contract["layers"] for name in layer.split("|")]


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """A package with every layer, one noun in ``money`` and ``access``, and the table folder."""
    package = tmp_path / "tokenbooth"
    for room in ("", *layer_names(), "money/ledger", "access/keys", "store/tables"):
        (package / room).mkdir(parents=True, exist_ok=True)
        (package / room / "__init__.py").write_text("")
    for noun in ("money/ledger", "access/keys"):
        for file in NOUN_FILES:
            (package / noun / f"{file}.py").write_text("")
    (package / "store/tables/money.py").write_text("")
    (package / "store/transactions.py").write_text("import sqlalchemy\n")
    plant(tmp_path, "money/ledger/sql.py", "from tokenbooth.store.tables import money")
    plant(tmp_path, "money/ledger/sql.py", "import sqlalchemy")
    plant(tmp_path, "money/ledger/service.py", "from tokenbooth.money.ledger import rules, sql")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    return tmp_path


def plant(root: Path, path: str, line: str) -> None:
    file = root / "tokenbooth" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text((file.read_text() if file.exists() else "") + line + "\n")


def verdict(root: Path) -> tuple[int, str]:
    """The exit status of the linter, and what it said."""
    done = subprocess.run(
        [LINTER, "--no-cache", "--no-logo"],
        cwd=root,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "300", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def broken(text: str) -> set[str]:
    """The ids of the contracts that the linter called broken."""
    ids = {contract["name"]: contract["id"] for contract in CONTRACTS}
    return {ids[name] for name in ids if f"{name} BROKEN" in text}


def test_the_skeleton_keeps_every_contract(skeleton: Path) -> None:
    status, said = verdict(skeleton)
    assert status == 0, said
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken" in said


@pytest.mark.parametrize(
    ("contract", "file", "line"),
    [
        ("layers", "core/turn.py", "import tokenbooth.store"),
        ("layers", "gateway/serve.py", "import tokenbooth.edge"),
        ("layers", "money/ledger/service.py", "from tokenbooth.access.keys import service"),
        ("layers", "protocols/chat.py", "import tokenbooth.engines"),
        ("layers", "web/pages.py", "import tokenbooth.edge"),
        ("layers", "control/money.py", "import tokenbooth.gateway"),
        ("layers", "workers/loop.py", "def f():\n    import tokenbooth.boot"),
        ("pure-rules", "money/ledger/rules.py", "import time"),
        ("pure-rules", "money/ledger/values.py", "import sqlalchemy"),
        ("pure-rules", "protocols/chat.py", "import random"),
        ("pure-rules", "core/turn.py", "from os import environ"),
        ("pure-rules", "gateway/rules.py", "import asyncio"),
        ("pure-rules", "access/keys/rules.py", "def f():\n    from datetime import datetime"),
        ("pure-rules", "access/keys/rules.py", "from tokenbooth.store import transactions"),
        ("acyclic", "gateway/a.py", "import tokenbooth.gateway.b"),
        ("sql-is-private", "money/ledger/service.py", "from tokenbooth.store.tables import money"),
        ("sql-is-private", "gateway/serve.py", "import tokenbooth.store.tables"),
    ],
)
def test_a_planted_import_is_found(skeleton: Path, contract: str, file: str, line: str) -> None:
    plant(skeleton, "gateway/b.py", "import tokenbooth.gateway.a")
    plant(skeleton, file, line)
    plant(skeleton, "gateway/a.py", "")
    status, said = verdict(skeleton)
    assert status == 1, said
    assert contract in broken(said), said


def test_a_room_without_a_place_in_the_layers_is_found(skeleton: Path) -> None:
    plant(skeleton, "extras/__init__.py", "")
    status, said = verdict(skeleton)
    assert status == 1
    assert "extras" in said


def test_every_contract_has_a_planted_violation() -> None:
    marks = test_a_planted_import_is_found.pytestmark  # type: ignore[attr-defined]
    planted = {case[0] for mark in marks for case in mark.args[1]}
    assert planted == {contract["id"] for contract in CONTRACTS}
