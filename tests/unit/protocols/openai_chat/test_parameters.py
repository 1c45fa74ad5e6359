"""The table of parameters is complete, and the page says what the table says."""

from pathlib import Path

import pytest
from openai.types.chat import completion_create_params as sdk

from checks import parameters_page
from checks.parameters_page import PAGE, render
from tokenbooth.protocols.openai_chat.parameters import PARAMETERS
from tokenbooth.protocols.parameters import Treatment

DOCUMENTED = {
    name
    for form in (sdk.CompletionCreateParamsNonStreaming, sdk.CompletionCreateParamsStreaming)
    for parent in (form, sdk.CompletionCreateParamsBase)
    for name in parent.__annotations__
}


def test_every_parameter_of_the_official_client_is_in_the_table() -> None:
    assert len(DOCUMENTED) > 35
    assert {row.name for row in PARAMETERS} == DOCUMENTED


def test_no_parameter_stands_twice() -> None:
    assert len({row.name for row in PARAMETERS}) == len(PARAMETERS)


def test_only_model_and_messages_are_required() -> None:
    assert {row.name for row in PARAMETERS if row.required} == {"model", "messages"}


def test_what_is_not_honoured_has_a_short_word_for_the_header() -> None:
    for row in PARAMETERS:
        said = row.treatment in (Treatment.TRANSLATED, Treatment.IGNORED)
        assert bool(row.note) == said, row.name
        assert "," not in row.note
        assert len(row.note) <= 100
        assert row.text


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m checks.parameters_page"
    for row in PARAMETERS:
        assert f"| `{row.name}` | {row.text}" in render()


def test_writing_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "parameters.md"
    monkeypatch.setattr(parameters_page, "PAGE", page)
    assert parameters_page.main() == 0
    assert page.read_text(encoding="utf-8") == render()
