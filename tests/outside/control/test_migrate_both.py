"""A migration keeps a copy from before it, and that copy can be put back, on both databases."""

from pathlib import Path

import pytest

from tests.support.ops import CountingIds, make_op
from tokenbooth.control import accounts
from tokenbooth.control.backup import back_up, migrate_safely, restore
from tokenbooth.control.serving import serving_lock
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.files import create_file
from tokenbooth.store.migrate import schema_revision, upgrade
from tokenbooth.store.once import run_once
from tokenbooth.store.options import StoreOptions
from tokenbooth.store.revision import HEAD

FIRST = "0001"
NOW_US = 1_700_000_000_000_000


@pytest.fixture
def older(empty_options: StoreOptions) -> StoreOptions:
    """A database at the first schema that ever was."""
    if empty_options.is_sqlite:
        create_file(empty_options.sqlite_path)
    run_once(empty_options, lambda connection: upgrade(connection, FIRST))
    return empty_options


def test_an_older_schema_is_copied_then_brought_up_to_date(
    older: StoreOptions, tmp_path: Path
) -> None:
    report = migrate_safely(tmp_path, older, NOW_US)
    assert (report.before, report.after) == (FIRST, HEAD)
    assert schema_revision(older) == HEAD
    assert report.backup is not None
    assert report.backup.stat().st_size > 0
    again = migrate_safely(tmp_path, older, NOW_US + 1)
    assert again.backup is None


def test_a_served_database_is_left_alone(older: StoreOptions, tmp_path: Path) -> None:
    with serving_lock(tmp_path), pytest.raises(Problem) as caught:
        migrate_safely(tmp_path, older, NOW_US)
    assert caught.value.code is Code.STATE_CONFLICT
    assert schema_revision(older) == FIRST


def test_a_copy_of_either_database_fills_an_embedded_one(
    store_options: StoreOptions, tmp_path: Path
) -> None:
    ask = accounts.OrganizationAsk("kept", cap_nano=7)
    run_once(
        store_options,
        lambda tx: accounts.create_organization(make_op(), tx, ask, CountingIds()),
    )
    copy = back_up(store_options, tmp_path / "copy.backup")
    fresh = StoreOptions(f"sqlite:///{tmp_path / 'fresh.db'}")
    restore(tmp_path, fresh, copy)
    (line,) = run_once(fresh, lambda tx: accounts.organizations(make_op(), tx))
    assert line.org.name == "kept"
    assert line.limits[1].limit_nano == 7
