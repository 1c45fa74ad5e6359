"""The benchmark measures two journals that do the same; its figures are not judged here."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.journal import facts, progress, settlement
from tokenbooth.proving import bench_journal
from tokenbooth.proving.bench_journal import Line, SqliteJournal, main, measure, ratios


def test_both_journals_are_measured_at_every_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_journal, "LOADS", (1, 3))
    told: list[Line] = []
    lines = measure(tmp_path, 0.01, told.append)
    assert told == lines
    assert [(line.journal, line.waiting) for line in lines] == [
        ("file", 1),
        ("sqlite", 1),
        ("file", 3),
        ("sqlite", 3),
    ]
    assert all(line.records_per_s > 0 and line.cpu_us_per_record > 0 for line in lines)
    assert all(0 < line.wait_p50_ms <= line.wait_p99_ms for line in lines)


def test_the_command_shows_each_load_and_the_ratios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_journal, "LOADS", (2,))
    main(["--seconds", "0.01", "--directory", str(tmp_path)])
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == ["file", "sqlite", "2"]
    assert list(tmp_path.iterdir()) == []


def test_a_ratio_is_of_records_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_journal, "LOADS", (7,))
    lines = [Line("file", 7, 300.0, 1, 1, 1), Line("sqlite", 7, 150.0, 1, 1, 1)]
    assert ratios(lines) == ["    7 waiting: the file takes 2.0 times as many records"]


def test_the_compared_journal_keeps_what_it_says_is_durable(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.open(facts())
    journal.progress(progress())
    mark = journal.settle(settlement())
    journal.write_out()
    assert journal.written == mark
    assert journal.durable == 0
    assert journal.sync() == mark
    assert journal.sync() == mark
    journal.forget(("req_1",))
    journal.close()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        assert connection.execute("SELECT count(*) FROM record").fetchone() == (3,)
