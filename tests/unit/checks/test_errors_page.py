from pathlib import Path

import pytest

from checks import errors_page
from tokenbooth.core.codes import Code, Kind


def test_every_code_has_one_row_with_its_statuses_meaning_and_cure() -> None:
    rows = [line for line in errors_page.render().splitlines() if line.startswith("| `")]
    assert len(rows) == len(Code)
    for code in Code:
        (row,) = [line for line in rows if line.startswith(f"| `{code.text}` |")]
        assert code.value.meaning in row
        assert code.value.cure in row


def test_a_row_shows_both_statuses_only_where_they_differ() -> None:
    page = errors_page.render()
    assert "| `insufficient_quota` | 429 / 402 |" in page
    assert "| `method_not_allowed` | 405 |" in page


def test_the_sections_follow_the_kinds() -> None:
    heads = [line[3:] for line in errors_page.render().splitlines() if line.startswith("## ")]
    assert heads == [kind.value for kind in Kind if any(code.kind is kind for code in Code)]


def test_the_program_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "errors.md"
    monkeypatch.setattr(errors_page, "PAGE", page)
    assert errors_page.main() == 0
    assert page.read_text() == errors_page.render()
