"""Migrations of the embedded database: a copy first, then all or nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from tests.support.stores import fresh_options
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.migrate import SCRIPTS, is_known, migrate, schema_revision, upgrade
from tokenbooth.store.once import run_once
from tokenbooth.store.options import StoreOptions
from tokenbooth.store.revision import HEAD, require_current, revision_in


def options_at(path: Path) -> StoreOptions:
    return StoreOptions(f"sqlite:///{path}")


def test_the_head_in_code_is_the_head_of_the_revisions() -> None:
    assert ScriptDirectory(str(SCRIPTS)).get_current_head() == HEAD


def test_a_new_database_needs_no_copy(tmp_path: Path) -> None:
    options = options_at(tmp_path / "new.db")
    assert schema_revision(options) is None
    assert migrate(options) is None
    assert schema_revision(options) == HEAD
    assert [path.name for path in tmp_path.iterdir()] == ["new.db"]


def test_an_older_database_is_copied_first(tmp_path: Path) -> None:
    options = options_at(tmp_path / "old.db")
    options.sqlite_path.touch()
    run_once(options, lambda tx: upgrade(tx, "0001"))
    add = text("INSERT INTO organization VALUES ('o', 'name', 1, 1, 1, 1, 'me')")
    run_once(options, lambda tx: tx.execute(add))
    saved = migrate(options)
    assert saved is not None
    assert saved.name.startswith("old.db.schema-0001.")
    assert schema_revision(options_at(saved)) == "0001"
    assert schema_revision(options) == HEAD
    for each in (options, options_at(saved)):
        found = run_once(each, lambda tx: tx.execute(text("SELECT id FROM organization")).all())
        assert found == [("o",)]


def test_a_current_database_is_left_alone(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    before = options.sqlite_path.read_bytes()
    assert migrate(options) is None
    assert options.sqlite_path.read_bytes() == before


def test_a_failing_step_undoes_every_step(tmp_path: Path) -> None:
    options = options_at(tmp_path / "odd.db")
    options.sqlite_path.touch()
    run_once(options, lambda tx: tx.execute(text("CREATE TABLE call_record (id TEXT)")))
    with pytest.raises(Exception, match="call_record"):
        migrate(options)
    assert schema_revision(options) is None


def test_there_is_no_way_back_but_a_backup(tmp_path: Path) -> None:
    known = {script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()}
    assert all(is_known(revision) for revision in known)
    scripts = ScriptDirectory(str(SCRIPTS)).walk_revisions()
    assert not any(hasattr(script.module, "downgrade") for script in scripts)


def test_another_schema_is_refused_by_name(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    run_once(options, lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '77'")))
    assert run_once(options, revision_in) == "77"
    with pytest.raises(Problem) as refused:
        run_once(options, require_current)
    assert refused.value.code is Code.STATE_CONFLICT
    assert "77" in refused.value.public
    with pytest.raises(Problem) as unknown:
        migrate(options)
    assert unknown.value.code is Code.STATE_CONFLICT


def test_a_file_that_is_no_database_is_an_outage(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("this is not a database, and long enough to have a header" * 20)
    with pytest.raises(Problem) as refused:
        schema_revision(options_at(path))
    assert refused.value.code is Code.LEDGER_UNAVAILABLE


def test_serving_imports_no_migration_library_and_no_driver_of_postgresql() -> None:
    code = (
        "import sys, tokenbooth.store.open, tokenbooth.store.revision;"
        "print([m for m in ('alembic', 'asyncpg', 'greenlet', 'mako') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
