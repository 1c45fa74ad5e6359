"""The migrated schema is the schema of the tables in code, on both databases."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.migrate import is_known, migrate, schema_revision, upgrade
from tokenbooth.store.once import run_once
from tokenbooth.store.options import StoreOptions
from tokenbooth.store.revision import HEAD, VERSION_TABLE, require_current, revision_in
from tokenbooth.store.tables import (
    access,
    audits,
    cards,
    catalog,
    certificates,
    content,
    files,
    launch,
    money,
    prices,
    receipts,
    responses,
)
from tokenbooth.store.tables.metadata import METADATA

TABLE_MODULES = (
    access,
    audits,
    cards,
    catalog,
    certificates,
    content,
    files,
    launch,
    money,
    prices,
    receipts,
    responses,
)


def described(connection: Connection) -> dict[str, dict[str, object]]:
    """What the database itself says of every table but the migration library's own."""
    inspector = inspect(connection)
    found: dict[str, dict[str, object]] = {}
    for name in sorted(inspector.get_table_names()):
        if name == VERSION_TABLE:
            continue
        found[name] = {
            "columns": sorted(
                (c["name"], str(c["type"]), c["nullable"], str(c["default"]))
                for c in inspector.get_columns(name)
            ),
            "key": inspector.get_pk_constraint(name),
            "foreign": sorted(map(str, inspector.get_foreign_keys(name))),
            "unique": sorted(map(str, inspector.get_unique_constraints(name))),
            "checks": sorted(
                (str(c["name"]), c["sqltext"]) for c in inspector.get_check_constraints(name)
            ),
            "indexes": sorted(
                (i["name"], i["column_names"], i["unique"]) for i in inspector.get_indexes(name)
            ),
        }
    return found


def test_migrations_make_the_tables_that_the_code_knows(
    empty_options: StoreOptions, tmp_path, request: pytest.FixtureRequest
) -> None:
    migrate(empty_options)
    migrated = run_once(empty_options, described)
    if empty_options.is_sqlite:
        other = StoreOptions(f"sqlite:///{tmp_path / 'direct.db'}")
        other.sqlite_path.touch()
    else:
        other = request.getfixturevalue("postgres").empty()
    run_once(other, METADATA.create_all)
    direct = run_once(other, described)
    assert migrated == direct
    assert set(migrated) == set(METADATA.tables)


def test_the_migration_library_sees_no_difference(store_options: StoreOptions) -> None:
    def compare(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), METADATA)

    assert run_once(store_options, compare) == []


def test_partial_indexes_have_the_same_condition(store_options: StoreOptions) -> None:
    catalogue = (
        "SELECT sql FROM sqlite_master WHERE name = :name"
        if store_options.is_sqlite
        else "SELECT indexdef FROM pg_indexes WHERE indexname = :name"
    )

    def definition(name: str) -> str:
        return run_once(
            store_options, lambda tx: str(tx.execute(text(catalogue), {"name": name}).scalar_one())
        )

    assert "state = 'open'" in definition("ix_call_record_open").replace("::text", "")
    assert "expires_us IS NULL" in definition("uq_key_secret_newest")


def test_every_sqlite_table_is_strict(postgres, tmp_path) -> None:
    options = StoreOptions(f"sqlite:///{tmp_path / 'strict.db'}")
    migrate(options)
    rows = run_once(
        options,
        lambda tx: tx.execute(text("SELECT name, sql FROM sqlite_master WHERE type='table'")).all(),
    )
    loose = [row.name for row in rows if not row.sql.rstrip().endswith("STRICT")]
    assert loose == [VERSION_TABLE]


def test_migrating_again_changes_nothing(store_options: StoreOptions) -> None:
    before = run_once(store_options, described)
    assert migrate(store_options) is None
    assert run_once(store_options, described) == before
    assert schema_revision(store_options) == HEAD
    run_once(store_options, require_current)


def test_an_empty_database_has_no_revision(empty_options: StoreOptions) -> None:
    assert schema_revision(empty_options) is None
    if empty_options.is_sqlite:
        assert not empty_options.sqlite_path.exists()
        empty_options.sqlite_path.touch()
    with pytest.raises(Problem) as refused:
        run_once(empty_options, require_current)
    assert refused.value.code is Code.STATE_CONFLICT
    assert "tokenbooth migrate" in refused.value.public


def test_a_schema_of_the_future_is_refused_and_left_alone(store_options: StoreOptions) -> None:
    run_once(
        store_options, lambda tx: tx.execute(text("UPDATE alembic_version SET version_num='9'"))
    )
    with pytest.raises(Problem) as refused:
        migrate(store_options)
    assert refused.value.code is Code.STATE_CONFLICT
    assert schema_revision(store_options) == "9"
    assert not is_known("9")
    assert is_known(HEAD)


def test_a_failing_migration_leaves_nothing_behind(empty_options: StoreOptions) -> None:
    if empty_options.is_sqlite:
        empty_options.sqlite_path.touch()
    run_once(empty_options, lambda tx: tx.execute(text("CREATE TABLE spend_limit (id TEXT)")))
    with pytest.raises(Exception, match="spend_limit"):
        migrate(empty_options)
    tables = run_once(empty_options, lambda tx: inspect(tx).get_table_names())
    assert tables == ["spend_limit"]


def test_steps_one_by_one_reach_the_same_schema(empty_options: StoreOptions) -> None:
    if empty_options.is_sqlite:
        empty_options.sqlite_path.touch()
    for number in range(1, 12):
        revision = f"{number:04d}"
        run_once(empty_options, lambda tx, to=revision: upgrade(tx, to))
        assert run_once(empty_options, revision_in) == revision
    assert revision == HEAD
