"""Backup and restore of the embedded database."""

import json
import os
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.support.bank import opened_bank
from tests.support.stores import fresh_options
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.backup import backup, restore
from tokenbooth.store.dump import write_rows
from tokenbooth.store.migrate import schema_revision, upgrade
from tokenbooth.store.once import run_once
from tokenbooth.store.options import StoreOptions
from tokenbooth.store.revision import HEAD
from tokenbooth.store.sqlite import connect_file


def options_at(path: Path) -> StoreOptions:
    return StoreOptions(f"sqlite:///{path}")


ADD = "INSERT INTO organization VALUES (:id, :id, 1, 1, 1, 1, 'me')"


def organizations(options: StoreOptions) -> list[str]:
    return run_once(
        options,
        lambda tx: [row.id for row in tx.execute(text("SELECT id FROM organization ORDER BY id"))],
    )


def add(options: StoreOptions, name: str) -> None:
    run_once(options, lambda tx: tx.execute(text(ADD), {"id": name}))


def test_a_backup_is_made_while_others_write(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    add(options, "committed")
    with closing(connect_file(options.sqlite_path, wait_ms=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute(ADD, {"id": "pending"})
        backup(options, tmp_path / "saved.db")
        other.execute("COMMIT")
    assert organizations(options_at(tmp_path / "saved.db")) == ["committed"]
    assert not (tmp_path / "saved.db.part").exists()


def test_a_restore_replaces_everything_and_keeps_a_copy(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    add(options, "before")
    backup(options, tmp_path / "saved.db")
    add(options, "after")
    assert restore(options, tmp_path / "saved.db") == HEAD
    assert organizations(options) == ["before"]
    (kept,) = tmp_path.glob("tokenbooth.db.before-restore.*.backup")
    assert organizations(options_at(kept)) == ["after", "before"]


def test_a_restore_brings_an_old_backup_up_to_date(tmp_path: Path) -> None:
    old = options_at(tmp_path / "old.db")
    old.sqlite_path.touch()
    run_once(old, lambda tx: upgrade(tx, "0001"))
    add(old, "long_ago")
    backup(old, tmp_path / "saved.db")
    target = options_at(tmp_path / "new.db")
    assert restore(target, tmp_path / "saved.db") == "0001"
    assert schema_revision(target) == HEAD
    assert schema_revision(options_at(tmp_path / "saved.db")) == "0001"
    assert organizations(target) == ["long_ago"]


def test_a_database_in_use_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenbooth.store.files.WAIT_MS", 10)
    options = fresh_options(tmp_path)
    add(options, "mine")
    backup(options, tmp_path / "saved.db")
    with closing(connect_file(options.sqlite_path, wait_ms=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Problem) as refused:
            restore(options, tmp_path / "saved.db")
        other.execute("ROLLBACK")
    assert refused.value.code is Code.STATE_CONFLICT
    assert "stop the server" in refused.value.public
    assert organizations(options) == ["mine"]


@pytest.mark.parametrize("content", [b"", b"text", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_what_is_no_backup_is_refused_and_changes_nothing(tmp_path: Path, content: bytes) -> None:
    options = fresh_options(tmp_path)
    add(options, "mine")
    (tmp_path / "odd").write_bytes(content)
    with pytest.raises(Problem) as refused:
        restore(options, tmp_path / "odd")
    assert refused.value.code is Code.INVALID_VALUE
    assert organizations(options) == ["mine"]


def test_a_damaged_backup_is_refused(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    backup(options, tmp_path / "saved.db")
    content = bytearray((tmp_path / "saved.db").read_bytes())
    content[8192:12288] = os.urandom(4096)
    (tmp_path / "saved.db").write_bytes(content)
    with pytest.raises(Problem) as refused:
        restore(options, tmp_path / "saved.db")
    assert refused.value.code is Code.INVALID_VALUE


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    with closing(connect_file(foreign, wait_ms=0, create=True)) as other:
        other.execute("CREATE TABLE t (a)")
    target = options_at(tmp_path / "mine.db")
    with pytest.raises(Problem) as refused:
        restore(target, foreign)
    assert "schema none" in refused.value.public
    assert not target.sqlite_path.exists()


def test_a_backup_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    run_once(options, lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '99'")))
    backup(options, tmp_path / "saved.db")
    with pytest.raises(Problem) as refused:
        restore(options_at(tmp_path / "mine.db"), tmp_path / "saved.db")
    assert "99" in refused.value.public


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        restore(options_at(tmp_path / "mine.db"), tmp_path / "nothing")
    assert "nothing" in refused.value.public


def test_a_database_that_cannot_be_copied_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = fresh_options(tmp_path)
    monkeypatch.setattr("tokenbooth.store.backup.schema_revision", lambda options: HEAD)
    options.sqlite_path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 8000)
    with pytest.raises(Problem) as refused:
        backup(options, tmp_path / "saved.db")
    assert refused.value.code is Code.STATE_CONFLICT
    assert not list(tmp_path.glob("saved.db*"))


def line(table: str, **row: object) -> dict[str, object]:
    return {"table": table, "row": row}


def organization(name: str) -> dict[str, object]:
    limits = {"requests_per_minute": 1, "tokens_per_minute": 1, "parallel_calls": 1}
    return line("organization", id=name, name=name, **limits, created_us=1, created_by="me")


ROWS = {
    "an unknown table": [{"table": "nothing", "row": {"id": "a"}}, {"rows": 1}],
    "a wrong count": [organization("a")],
    "no object": ["text"],
}


@pytest.mark.parametrize("case", ROWS)
def test_broken_rows_restore_nothing(tmp_path: Path, case: str) -> None:
    head = {"format": "tokenbooth-rows-1", "revision": HEAD}
    lines = [json.dumps(line) for line in (head, *ROWS[case])]
    (tmp_path / "rows").write_text("\n".join(lines) + "\n")
    target = options_at(tmp_path / "mine.db")
    with pytest.raises(Problem) as refused:
        restore(target, tmp_path / "rows")
    assert refused.value.code is Code.INVALID_VALUE
    assert schema_revision(target) is None


def test_rows_restore_into_an_empty_sqlite_database(tmp_path: Path) -> None:
    by = {"created_us": 1, "created_by": "me"}
    hmac = {"hex": "ab" * 32}
    lines = [
        {"format": "tokenbooth-rows-1", "revision": HEAD},
        *(organization(f"{n:04}") for n in range(1001)),
        organization("o"),
        line("project", id="p", org_id="o", name="p", **by),
        line("api_key", id="k", org_id="o", project_id="p", name="n", scopes="read", **by),
        line("key_secret", secret_hmac=hmac, key_id="k", prefix="p", last_four="1234", **by),
        {"rows": 1005},
    ]
    (tmp_path / "rows").write_text("".join(json.dumps(each) + "\n" for each in lines))
    target = options_at(tmp_path / "mine.db")
    assert restore(target, tmp_path / "rows") == HEAD
    assert len(organizations(target)) == 1002
    found = run_once(
        target, lambda tx: tx.execute(text("SELECT secret_hmac FROM key_secret")).scalar_one()
    )
    assert found == bytes.fromhex("ab" * 32)


def test_rows_written_by_hand_come_back(tmp_path: Path) -> None:
    source, target = fresh_options(tmp_path), options_at(tmp_path / "mine.db")
    with opened_bank(source) as bank:
        bank.price(1000, 2000)
        bank.fund(1000)
        bank.hold("req_1")
        before = (bank.limits(), bank.call("req_1"))
    with (tmp_path / "rows").open("w") as stream:
        count = run_once(source, lambda tx: write_rows(tx, stream))
    assert len((tmp_path / "rows").read_text().splitlines()) == count + 2
    restore(target, tmp_path / "rows")
    with opened_bank(target) as bank:
        assert (bank.limits(), bank.call("req_1")) == before
    with pytest.raises(Problem) as refused:
        restore(target, tmp_path / "rows")
    assert refused.value.code is Code.STATE_CONFLICT


def test_nothing_is_backed_up_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        backup(options_at(tmp_path / "none.db"), tmp_path / "saved.db")
    assert refused.value.code is Code.STATE_CONFLICT
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("precious")
    with pytest.raises(Problem) as refused:
        backup(fresh_options(tmp_path), tmp_path / "taken")
    assert refused.value.code is Code.ALREADY_EXISTS
    assert (tmp_path / "taken").read_text() == "precious"


def test_a_backup_carries_money_to_the_nano(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    with opened_bank(options) as bank:
        bank.price(1000, 2000)
        bank.fund(1000)
        bank.hold("req_1")
        bank.settle("req_1")
        before = (bank.limits(), bank.call("req_1"), bank.verify())
    backup(options, tmp_path / "saved.db")
    target = options_at(tmp_path / "moved.db")
    restore(target, tmp_path / "saved.db")
    with opened_bank(target) as bank:
        assert (bank.limits(), bank.call("req_1"), bank.verify()) == before
