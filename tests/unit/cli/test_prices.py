"""Price books, price lists and locks from the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command

Ask = Callable[..., Any]

LIST = """
book = "europe"
currency = "EUR"
[[price]]
model = "demo"
input = "1.25 EUR per million tokens"
output = "{output} EUR per million tokens"
[[price]]
model = "demo"
tier = "flex"
input = "0.625 EUR per million tokens"
output = "2.125 EUR per million tokens"
"""


@pytest.fixture
def offered(ask: Ask) -> None:
    """The model demo, and a book in EUR."""
    ask("model", "add", "demo", "--scripted")
    ask("price", "book", "create", "europe", "--currency", "EUR")


def listing(tmp_path: Path, output: str = "4.25") -> str:
    file = tmp_path / "prices.toml"
    file.write_text(LIST.format(output=output))
    return str(file)


def test_books_are_made_and_listed(ask: Ask, command: Command) -> None:
    made = ask("price", "book", "create", "japan", "--currency", "JPY")
    assert (made["currency"], made["decimals"]) == ("JPY", 0)
    assert [row["name"] for row in ask("price", "book", "list")["data"]] == ["default", "japan"]
    refused = command("price", "book", "create", "moon", "--currency", "MOO")
    assert refused.code == 1
    assert "'MOO' is not the code of a currency in use" in refused.err
    assert "japan" in command("price", "book", "list").out


@pytest.mark.usefixtures("offered")
def test_one_tier_is_set_and_the_others_stay(ask: Ask, command: Command) -> None:
    ask("price", "set", "demo", "--input", "1.25", "--output", "4.25", "--cached", "0.15")
    made = ask(
        "price", "set", "demo", "--tier", "flex", "--data-terms", "contributor", "--input", "0.6",
        "--output", "2", "--line", "reasoning=3", "--line", "search=2500", "--yes",
    )  # fmt: skip
    (version,) = made["data"]
    standard, flex = version["lines"]
    assert (standard["input"], standard["cached_input"]) == ("1.250000", "0.150000")
    assert (flex["tier"], flex["data_terms"]) == ("flex", "contributor")
    assert (flex["reasoning"], flex["search"]) == ("3.000000", "2500.000000")
    assert ask("price", "list") == made
    assert len(ask("price", "history", "demo")["data"]) == 2
    shown = command("price", "list").out
    assert "reasoning=3.000000" in shown
    assert command("price", "list", "--book", "europe").out == "None.\n"


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    "odd",
    [
        ("--tier", "gold"),
        ("--data-terms", "public"),
        ("--line", "storage=1"),
        ("--line", "input=1"),
        ("--line", "output=1"),
        ("--line", "search"),
        ("--line", "search=-1"),
        ("--cached", "1.0000001"),
        ("--book", "asia"),
    ],
)
def test_an_odd_price_is_refused_and_nothing_published(
    ask: Ask, command: Command, odd: tuple[str, str]
) -> None:
    said = command("price", "set", "demo", "--input", "1", "--output", "1", *odd)
    assert said.code == 1
    assert said.err.startswith("error: ")
    assert ask("price", "history", "demo")["data"] == []


@pytest.mark.usefixtures("offered")
def test_a_whole_list_is_tried_then_published(ask: Ask, command: Command, tmp_path: Path) -> None:
    file = listing(tmp_path)
    tried = ask("price", "publish", file, "--dry-run")
    assert tried["data"][0]["model"] == "demo"
    assert tried["data"][0]["calls"] == 0
    assert tried["changes"][0]["changed"] is True
    assert ask("price", "list", "--book", "europe")["data"] == []
    (version,) = ask("price", "publish", file)["data"]
    assert version["currency"] == "EUR"
    assert ask("price", "publish", file)["data"] == []
    said = command("price", "publish", file, "--dry-run", "--days", "30").out
    assert "demo: no change" in said
    assert "30 days, EUR" in said


@pytest.mark.usefixtures("offered")
def test_a_misplaced_point_is_shown_and_needs_a_yes(
    ask: Ask, command: Command, tmp_path: Path
) -> None:
    ask("price", "publish", listing(tmp_path))
    dearer = listing(tmp_path, output="42.5")
    shown = command("price", "publish", dearer, "--dry-run").out
    assert "tenfold: demo: output (standard under private terms) from 4.250000" in shown
    refused = command("price", "publish", dearer)
    assert refused.code == 1
    assert "--yes" in refused.err
    (version,) = ask("price", "publish", dearer, "--yes")["data"]
    assert version["lines"][0]["output"] == "42.500000"


@pytest.mark.usefixtures("offered")
def test_a_tier_that_loses_its_price_is_named(ask: Ask, command: Command, tmp_path: Path) -> None:
    ask("price", "publish", listing(tmp_path))
    file = tmp_path / "less.toml"
    file.write_text(LIST.format(output="4.25").rsplit("[[price]]", 1)[0])
    said = command("price", "publish", str(file), "--dry-run").out
    assert "no longer priced: demo: flex under private terms" in said


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (LIST.format(output="4.25").replace('"1.25 EUR per million tokens"', "1.25"), "no unit"),
        (LIST.format(output="-4.25"), "plain decimal"),
        (LIST.format(output="4.2500001"), "more than 6 decimals"),
        (LIST.format(output="4.25").replace("europe", "default"), "in USD"),
        (LIST.format(output="4.25").replace('"demo"', '"ghost"'), "ghost"),
    ],
)
def test_a_list_that_is_wrong_is_refused_and_nothing_published(
    ask: Ask, command: Command, tmp_path: Path, content: str, says: str
) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(content)
    said = command("price", "publish", str(file))
    assert said.code == 1
    assert says in said.err
    assert ask("price", "history", "demo")["data"] == []


def test_a_list_that_is_not_there_is_refused(command: Command, tmp_path: Path) -> None:
    said = command("price", "publish", str(tmp_path / "none.toml"))
    assert said.code == 1
    assert "cannot be read" in said.err


@pytest.mark.usefixtures("offered")
def test_an_organization_is_locked_and_unlocked(ask: Ask, command: Command) -> None:
    ask("price", "set", "demo", "--input", "1", "--output", "2")
    ask("org", "create", "acme")
    locked = ask("price", "lock", "acme", "demo", "--until", "30d")
    assert locked["until"] > locked["from"]
    assert ask("price", "locks") == {"object": "list", "data": [locked]}
    assert "now" in command("price", "locks", "--org", "acme").out
    assert command("price", "lock", "acme", "demo").code == 1
    assert ask("price", "unlock", "acme", "demo")["ended"] == 1
    assert command("price", "locks").out == "None.\n"
    said = command("price", "lock", "acme", "demo", "--version", locked["version"], "--from", "7d")
    assert "until it is unlocked" in said.out
    assert "later" in command("price", "locks").out
    assert "published price" in command("price", "unlock", "acme", "demo").out


def test_a_time_that_is_none_is_refused(ask: Ask, command: Command) -> None:
    ask("org", "create", "acme")
    said = command("price", "lock", "acme", "demo", "--until", "soon")
    assert said.code == 1
    assert "until must be a span" in said.err


@pytest.mark.usefixtures("offered")
def test_an_organization_buys_from_its_book_and_speaks_its_currency(
    ask: Ask, command: Command
) -> None:
    ask("org", "create", "acme", "--book", "europe", "--cap", "5")
    (row,) = ask("org", "list")["data"]
    assert (row["price_book"], row["currency"]) == ("europe", "EUR")
    assert ask("org", "book", "acme", "default")["currency"] == "USD"
    assert "in EUR" in command("org", "book", "acme", "europe").out
    assert "has 7.000000000 EUR left" in command("org", "credit", "acme", "7").out
    said = command("org", "book", "acme", "default")
    assert said.code == 1
    assert "Money was booked" in said.err
    assert "EUR" in command("org", "list").out
    ask("key", "create", "acme")
    assert "EUR" in command("key", "list").out
    assert "EUR" in command("project", "list").out
    assert command("usage", "acme").out == "None.\n"
    assert ask("usage", "acme")["total_cost"]["currency"] == "EUR"


def test_a_project_says_what_may_become_of_its_content(ask: Ask, command: Command) -> None:
    ask("org", "create", "acme")
    made = ask("project", "create", "acme", "web", "--data-terms", "contributor")
    assert made["data_terms"] == "contributor"
    changed = ask("project", "set", "acme", "web", "--data-terms", "private")
    assert changed["data_terms"] == "private"
    said = command("project", "set", "acme", "web", "--data-terms", "public")
    assert said.code == 1
    assert "private, contributor" in said.err
    said = command("project", "set", "acme", "web", "--data-terms", "contributor")
    assert "Project web: contributor data terms" in said.out
    assert "contributor" in command("project", "list").out
