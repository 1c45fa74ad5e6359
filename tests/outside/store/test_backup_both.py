"""A backup holds everything, restores into an empty place, and refuses to lose what is there."""

import json
import stat
from pathlib import Path

import pytest

from tests.outside.conftest import Databases
from tests.support.bank import Bank, opened_bank
from tests.support.stores import fresh_options
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.ledger import service as ledger
from tokenbooth.store.backup import backup, restore
from tokenbooth.store.migrate import schema_revision
from tokenbooth.store.options import StoreOptions
from tokenbooth.store.revision import HEAD


def live(options: StoreOptions) -> dict[str, object]:
    """A little business, and what must be the same after a restore."""
    with opened_bank(options) as bank:
        bank.price(1000, 2000, 300)
        bank.fund(1000)
        bank.hold("req_1")
        bank.settle("req_1")
        bank.hold("req_2", stream=True)
        return look(bank)


def look(bank: Bank) -> dict[str, object]:
    return {
        "limits": bank.limits(),
        "calls": [bank.call("req_1"), bank.call("req_2")],
        "verify": bank.verify(),
    }


def seen(options: StoreOptions) -> dict[str, object]:
    with opened_bank(options) as bank:
        return look(bank)


def test_a_restored_backup_is_the_same_to_the_nano(
    store_options: StoreOptions, postgres: Databases, tmp_path: Path
) -> None:
    before = live(store_options)
    saved = tmp_path / "saved"
    backup(store_options, saved)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    if store_options.is_sqlite:
        target = StoreOptions(f"sqlite:///{tmp_path / 'restored.db'}")
    else:
        target = postgres.empty()
    assert restore(target, saved) == HEAD
    assert seen(target) == before
    assert before["verify"] == ledger.Verification(3, 0, 1, ())


def test_rows_of_postgresql_move_into_sqlite_with_their_guards(
    postgres: Databases, tmp_path: Path
) -> None:
    source = postgres.migrated()
    before = live(source)
    backup(source, tmp_path / "rows")
    target = StoreOptions(f"sqlite:///{tmp_path / 'moved.db'}")
    restore(target, tmp_path / "rows")
    assert seen(target) == before
    with opened_bank(target) as bank, pytest.raises(Exception, match="append_only"):
        bank.sql("UPDATE ledger_posting SET amount_nano = 1")


def test_an_existing_file_is_never_overwritten(store_options: StoreOptions, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("precious")
    with pytest.raises(Problem) as refused:
        backup(store_options, taken)
    assert refused.value.code is Code.ALREADY_EXISTS
    assert taken.read_text() == "precious"


def test_nothing_is_backed_up_from_nothing(empty_options: StoreOptions, tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        backup(empty_options, tmp_path / "saved")
    assert refused.value.code is Code.STATE_CONFLICT
    assert list(tmp_path.iterdir()) == []


def test_rows_do_not_go_into_a_database_in_use(postgres: Databases, tmp_path: Path) -> None:
    source, target = postgres.migrated(), postgres.migrated()
    live(source)
    backup(source, tmp_path / "rows")
    before = live(target)
    with pytest.raises(Problem) as refused:
        restore(target, tmp_path / "rows")
    assert refused.value.code is Code.STATE_CONFLICT
    assert seen(target) == before


def test_a_cut_backup_restores_nothing(postgres: Databases, tmp_path: Path) -> None:
    source, target = postgres.migrated(), postgres.empty()
    live(source)
    rows = tmp_path / "rows"
    backup(source, rows)
    lines = rows.read_text().splitlines(keepends=True)
    rows.write_text("".join(lines[:-1]))
    with pytest.raises(Problem) as refused:
        restore(target, rows)
    assert refused.value.code is Code.INVALID_VALUE
    assert "cut" in refused.value.public
    assert schema_revision(target) is None


def test_pages_of_sqlite_do_not_go_into_postgresql(postgres: Databases, tmp_path: Path) -> None:
    source = fresh_options(tmp_path)
    backup(source, tmp_path / "pages")
    target = postgres.migrated()
    with pytest.raises(Problem) as refused:
        restore(target, tmp_path / "pages")
    assert refused.value.code is Code.INVALID_VALUE


def test_rows_of_a_newer_program_are_refused(postgres: Databases, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.write_text(json.dumps({"format": "tokenbooth-rows-1", "revision": "9999"}) + "\n")
    target = postgres.empty()
    with pytest.raises(Problem) as refused:
        restore(target, rows)
    assert "9999" in refused.value.public
    assert schema_revision(target) is None
