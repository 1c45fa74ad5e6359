"""Set-up, settings, copies, the books, and the shape that all commands share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tokenbooth import __version__
from tokenbooth.cli.app import app, run
from tokenbooth.control.serving import Serving, serving_lock

Ask = Callable[..., Any]


# The file itself is what it prints, in the layout that was asked for.
PRINTS_NO_DOCUMENT = {("statement", "export")}
# Neither opens a booth: a receipt is proved without one, a benchmark makes its own.
OPENS_NO_BOOTH = {
    ("receipt", "verify"),
    ("bench", "admission"),
    ("bench", "billing"),
    ("bench", "overload"),
    ("certify", "import"),
    ("certify", "prove"),
    ("certify", "verify"),
    ("simulate", "serving"),
    ("bench", "gateway"),
    ("bench", "soak"),
    ("bench", "hot-account"),
    ("bench", "translate"),
}


def all_commands() -> list[tuple[str, ...]]:
    from typer.main import get_command

    found: list[tuple[str, ...]] = []
    groups: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    for path, entry in groups:
        below = getattr(entry, "commands", None)
        if below is None:
            found.append(path)
        else:
            groups += [((*path, name), sub) for name, sub in below.items()]
    return sorted(found)


def test_the_exceptions_to_the_shared_options_are_commands() -> None:
    assert set(all_commands()) >= PRINTS_NO_DOCUMENT | OPENS_NO_BOOTH


@pytest.mark.parametrize("path", all_commands(), ids=" ".join)
def test_every_command_takes_json_and_a_data_directory(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert ("--json" in shown) == (path not in PRINTS_NO_DOCUMENT)
    assert ("--data-dir" in shown) == (path not in OPENS_NO_BOOTH)


def test_wrong_usage_is_exit_code_two(command: Command) -> None:
    assert command("org", "destroy").code == 2
    assert command("org", "create").code == 2
    assert command("serve", "--port", "70000").code == 2


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"tokenbooth {__version__}\n"


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) in (0, 2)
    assert "ledger" in capsys.readouterr().out


def test_a_directory_without_a_booth_names_the_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["org", "list", "--data-dir", str(tmp_path / "none")]) == 1
    assert "tokenbooth init" in capsys.readouterr().err


def test_a_second_init_keeps_everything(ask: Ask, home: Path) -> None:
    before = (home / "secrets" / "pepper").read_bytes()
    assert ask("init")["created"] == []
    assert (home / "secrets" / "pepper").read_bytes() == before


def test_init_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--data-dir", str(tmp_path / "new")]) == 0
    assert "secrets/pepper" in capsys.readouterr().out


def test_settings_are_shown_with_their_origin(
    ask: Ask, command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "tokenbooth.toml").write_text("[edge]\nport = 1234\n")
    monkeypatch.setenv("TOKENBOOTH_LOG__LEVEL", "debug")
    rows = {row["name"]: row for row in ask("config", "show")["settings"]}
    assert rows["edge.port"]["value"] == 1234
    assert rows["edge.port"]["where"] == "tokenbooth.toml:2"
    assert rows["log.level"]["origin"] == "environment"
    assert rows["edge.host"]["origin"] == "default"
    assert "tokenbooth.toml:2" in command("config", "show").out


def test_a_misspelled_setting_stops_every_command(command: Command, home: Path) -> None:
    (home / "tokenbooth.toml").write_text("[edge]\nprot = 1234\n")
    said = command("org", "list", "--json")
    assert said.code == 1
    assert said.document["error"]["code"] == "unknown_parameter"
    assert "tokenbooth.toml:2" in said.document["error"]["message"]


def test_a_copy_is_made_and_put_back(ask: Ask, command: Command, tmp_path: Path) -> None:
    ask("org", "create", "kept")
    copy = tmp_path / "copy.backup"
    assert ask("backup", str(copy))["bytes"] == copy.stat().st_size
    ask("org", "create", "lost")
    refused = command("restore", str(copy))
    assert refused.code == 1
    assert "--yes" in refused.err
    assert ask("restore", str(copy), "--yes") == {"restored": str(copy)}
    assert [row["name"] for row in ask("org", "list")["data"]] == ["kept"]


def test_copies_speak_text_too(command: Command, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy.backup")
    assert "secrets/" in command("backup", copy).out
    assert "exists" in command("backup", copy).err
    assert "Restored" in command("restore", copy, "--yes").out
    assert "unchanged" in command("migrate").out


def test_migrate_tells_the_schema(ask: Ask) -> None:
    report = ask("migrate")
    assert report["before"] == report["after"]
    assert report["backup"] is None


def test_a_served_directory_is_neither_served_again_nor_migrated(
    command: Command, home: Path
) -> None:
    with serving_lock(home) as note:
        note.write(Serving(4711, "127.0.0.1", 8123))
        for arguments in (("serve", "--port", "0"), ("migrate",), ("up",)):
            said = command(*arguments)
            assert said.code == 1
            assert "http://127.0.0.1:8123" in said.err


def test_sound_books_are_exit_code_zero(ask: Ask, command: Command) -> None:
    ask("org", "create", "acme")
    ask("org", "credit", "acme", "3")
    found = ask("ledger", "verify")
    assert found["sound"] is True
    assert found["difference"]["amount_nano"] == 0
    assert command("ledger", "verify").out.endswith("sound\n")


def test_tampered_books_are_exit_code_one(ask: Ask, command: Command, home: Path) -> None:
    import sqlite3

    ask("org", "create", "acme")
    ask("org", "credit", "acme", "3")
    with sqlite3.connect(home / "tokenbooth.db") as tampered:
        table, column = tampered.execute(
            "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c"
            " WHERE m.type = 'table' AND c.name = 'limit_nano'"
        ).fetchone()
        tampered.execute(f"UPDATE {table} SET {column} = {column} + 1 WHERE {column} > 0")
    tampered.close()
    said = command("ledger", "verify", "--json")
    assert said.code == 1
    assert json.loads(said.out)["sound"] is False
    assert "NOT SOUND" in command("ledger", "verify").out


def test_usage_of_nobody_is_empty(ask: Ask, command: Command) -> None:
    assert ask("usage")["data"] == []
    ask("org", "create", "acme")
    found = ask("usage", "acme", "--since", "2026-01-01", "--until", "2026-01-31")
    assert found["data"] == []
    assert found["total_cost"]["amount"] == "0.000000000"
    assert command("usage", "acme").out == "None.\n"
    assert command("usage", "nobody").code == 1
    assert command("usage", "acme", "--since", "soon").code == 1
