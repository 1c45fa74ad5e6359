"""Without the drivers of PostgreSQL the way to get them is named."""

import sys

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.migrate import schema_revision
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions


@pytest.mark.parametrize("missing", ["asyncpg", "greenlet"])
def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(Problem) as refused:
        open_store(StoreOptions("postgresql://role@host/booth"))
    assert refused.value.code is Code.LEDGER_UNAVAILABLE
    assert missing in refused.value.public
    assert "pip install 'tokenbooth[postgres]'" in refused.value.public


def test_commands_name_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(Problem, match="tokenbooth\\[postgres\\]"):
        schema_revision(StoreOptions("postgresql://role@host/booth"))
