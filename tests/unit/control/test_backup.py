"""Copies: before a migration, on demand while in use, and back again."""

from pathlib import Path

import pytest

from tests.support.ops import CountingIds, make_op
from tests.support.stores import fresh_options
from tokenbooth.control import accounts
from tokenbooth.control.backup import back_up, migrate_safely, restore
from tokenbooth.control.serving import serving_lock
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.options import StoreBounds, StoreOptions
from tokenbooth.store.revision import HEAD
from tokenbooth.store.sqlite import sqlite_engine

NOW_US = 1_700_000_000_000_000


def add_org(options: StoreOptions, name: str) -> None:
    engine = sqlite_engine(options, StoreBounds())
    with engine.begin() as tx:
        ask = accounts.OrganizationAsk(name)
        accounts.create_organization(make_op(), tx, ask, CountingIds(hash(name) % 2**40))
    engine.dispose()


def names(options: StoreOptions) -> set[str]:
    engine = sqlite_engine(options, StoreBounds())
    with engine.begin() as tx:
        found = {line.org.name for line in accounts.organizations(make_op(), tx)}
    engine.dispose()
    return found


def test_a_new_database_is_made_without_a_copy(tmp_path: Path) -> None:
    options = StoreOptions(f"sqlite:///{tmp_path}/tokenbooth.db")
    report = migrate_safely(tmp_path, options, NOW_US)
    assert (report.before, report.after, report.backup) == (None, HEAD, None)


def test_a_current_database_is_left_alone(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    report = migrate_safely(tmp_path, options, NOW_US)
    assert (report.before, report.after, report.backup) == (HEAD, HEAD, None)


def test_nothing_is_migrated_while_it_is_served(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    with serving_lock(tmp_path), pytest.raises(Problem) as caught:
        migrate_safely(tmp_path, options, NOW_US)
    assert caught.value.code is Code.STATE_CONFLICT


def test_a_copy_brings_everything_back(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    add_org(options, "before")
    copy = back_up(options, tmp_path / "copy.backup")
    add_org(options, "after")
    assert names(options) == {"before", "after"}
    assert restore(tmp_path, options, copy) == copy
    assert names(options) == {"before"}


def test_a_copy_never_replaces_a_file(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    target = tmp_path / "taken"
    target.write_text("mine")
    with pytest.raises(Problem) as caught:
        back_up(options, target)
    assert caught.value.code is Code.ALREADY_EXISTS
    assert target.read_text() == "mine"


def test_nothing_is_restored_while_it_is_served(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    copy = back_up(options, tmp_path / "copy.backup")
    with serving_lock(tmp_path), pytest.raises(Problem) as caught:
        restore(tmp_path, options, copy)
    assert caught.value.code is Code.STATE_CONFLICT


def test_something_else_than_a_copy_is_refused(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    add_org(options, "kept")
    (tmp_path / "note.txt").write_text("hello")
    for path in (tmp_path / "note.txt", tmp_path / "none"):
        with pytest.raises(Problem) as caught:
            restore(tmp_path, options, path)
        assert caught.value.code is Code.INVALID_VALUE
    assert names(options) == {"kept"}
