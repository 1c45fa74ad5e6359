"""Models from the command line."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command

Ask = Callable[..., Any]


def test_a_scripted_model_is_added_priced_tried_listed_and_removed(
    ask: Ask, command: Command
) -> None:
    added = ask("model", "add", "demo", "--scripted", "--context", "2048", "--concurrency", "3")
    assert added["pricing"] is None
    assert added["context_length"] == 2048
    assert added["deployments"][0]["concurrency_max"] == 3
    priced = ask("model", "price", "demo", "--input", "1.25", "--output", "4.25", "--cached", "0.5")
    assert priced["pricing"]["cached_input"] == "0.500000"
    trial = ask("model", "test", "demo")
    assert trial["text"]
    (row,) = ask("model", "list")["data"]
    assert row["pricing"]["input"] == "1.250000"
    assert ask("model", "remove", "demo") == {"removed": "demo"}
    assert command("model", "list").out == "None.\n"


def test_a_tenfold_price_needs_a_yes(ask: Ask, command: Command) -> None:
    ask("model", "add", "demo", "--scripted")
    ask("model", "price", "demo", "--input", "1", "--output", "1")
    refused = command("model", "price", "demo", "--input", "10", "--output", "1")
    assert refused.code == 1
    assert "--yes" in refused.err
    assert "cure:" not in refused.err
    assert ask("model", "price", "demo", "--input", "10", "--output", "1", "--yes")


@pytest.mark.parametrize("price", ["-1", "1.0000001", "x", "1e2"])
def test_a_price_that_cannot_be_kept_exactly_is_refused(
    ask: Ask, command: Command, price: str
) -> None:
    ask("model", "add", "demo", "--scripted")
    assert command("model", "price", "demo", f"--input={price}", "--output", "1").code == 1
    assert ask("model", "list")["data"][0]["pricing"] is None


def test_an_upstream_with_its_key_from_a_file(
    ask: Ask, command: Command, tmp_path: Path, home: Path
) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("sk-upstream-secret\n")
    added = ask(
        "model", "add", "big", "--upstream", "http://up:1/v1", "--upstream-model", "x/y",
        "--upstream-key-file", str(key_file), "--option", "pool_max=3", "--context", "4096",
    )  # fmt: skip
    (deployment,) = added["deployments"]
    assert deployment["upstream_key"] == "sealed"
    assert deployment["options"] == {"pool_max": "3"}
    assert "sk-upstream-secret" not in command("model", "list", "--json").out
    assert b"sk-upstream-secret" not in (home / "tokenbooth.db").read_bytes()


def test_an_upstream_with_replicas(ask: Ask) -> None:
    urls = ["http://one/v1", "http://two/v1", "http://one/v1"]
    typed = [word for url in urls for word in ("--upstream", url)]
    added = ask("model", "add", "big", *typed, "--context", "4096", "--concurrency", "3")
    found = [(each["upstream"], each["concurrency_max"]) for each in added["deployments"]]
    assert found == [("http://one/v1", 3), ("http://two/v1", 3)]


def test_an_upstream_key_from_standard_input(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-typed\n"))
    upstream = ("--upstream", "http://up/v1", "--upstream-key-file", "-", "--context", "4096")
    added = ask("model", "add", "big", *upstream)
    assert added["deployments"][0]["upstream_key"] == "sealed"


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 5000, b"\xff\xfe"])
def test_a_file_that_holds_no_key_is_refused(
    command: Command, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    arguments = ("--upstream", "http://up/v1", "--upstream-key-file", str(path))
    said = command("model", "add", "big", *arguments, "--json")
    assert said.code == 1
    assert said.document["error"]["param"] == "upstream-key"


def test_weights_from_a_file(ask: Ask, command: Command, tmp_path: Path) -> None:
    gguf = tmp_path / "w.gguf"
    gguf.write_bytes(b"GGUF rest")
    added = ask("model", "add", "w", "--gguf", str(gguf), "--engine", "embedded")
    assert added["deployments"][0]["gguf"] == str(gguf)
    assert command("model", "add", "v", "--gguf", str(gguf), "--engine", "magic").code == 1
    missing = command("model", "add", "v", "--gguf", str(tmp_path / "none"), "--engine", "embedded")
    assert missing.code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--scripted", "--upstream", "http://up/v1"),
        ("--scripted", "--option", "novalue"),
        ("--scripted", "--option", "a=1", "--option", "a=2"),
        ("--upstream", "ftp://up"),
        ("--upstream", "http://u:p@up/v1"),
    ],
)
def test_a_contradictory_model_is_refused(
    ask: Ask, command: Command, arguments: tuple[str, ...]
) -> None:
    assert command("model", "add", "m", *arguments).code == 1
    assert ask("model", "list")["data"] == []


def test_text_output_names_the_next_step(command: Command) -> None:
    assert "tokenbooth model price demo" in command("model", "add", "demo", "--scripted").out
    said = command("model", "price", "demo", "--input", "1", "--output", "2")
    assert "1.000000 USD per million input tokens" in said.out
    assert "scripted" in command("model", "list").out
    assert "first output after" in command("model", "test", "demo").out
    assert "off offer" in command("model", "remove", "demo").out
    assert "is on offer" in command("model", "add", "demo", "--scripted").out


def test_a_model_is_described_and_what_is_left_out_is_said_no_longer(
    ask: Ask, command: Command
) -> None:
    ask("model", "add", "demo", "--scripted")
    said = ask(
        "model", "describe", "demo", "--display-name", "Demo", "--stage", "ga",
        "--shutdown", "2100-01-01",
    )  # fmt: skip
    assert (said["display_name"], said["stage"]) == ("Demo", "ga")
    assert said["shutdown_date"] == "2100-01-01"
    again = ask("model", "describe", "demo", "--stage", "deprecated")
    assert (again["display_name"], again["shutdown_date"]) == (None, None)
    assert command("model", "describe", "demo", "--stage", "old").code == 1
    assert command("model", "describe", "nothing").code == 1
    assert command("model", "describe", "demo", "--shutdown", "2001-01-01").code == 1


def test_static_embeddings_come_from_an_archive(ask: Ask, command: Command, tmp_path: Path) -> None:
    archive, text = tmp_path / "table.whl", tmp_path / "text"
    text.write_text("no archive")
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("x", "")
    added = ask("model", "add", "vectors", "--embeddings", str(archive))
    assert added["deployments"][0]["engine"] == "static"
    assert added["deployments"][0]["gguf"] == str(archive)
    assert command("model", "add", "other", "--embeddings", str(text)).code == 1
    both = ("--embeddings", str(archive), "--scripted")
    assert command("model", "add", "other", *both).code == 1
