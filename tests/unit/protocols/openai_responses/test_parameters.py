"""The table of parameters is complete, and the page says what the table says."""

import pytest
from openai.types.responses import response_create_params as sdk

from checks.parameters_page import PAGE, render
from tokenbooth.core.features import Feature
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.openai_responses.parameters import EFFORTS, PARAMETERS
from tokenbooth.protocols.parameters import Treatment

DOCUMENTED = {
    name
    for form in (sdk.ResponseCreateParamsNonStreaming, sdk.ResponseCreateParamsStreaming)
    for parent in (form, sdk.ResponseCreateParamsBase)
    for name in parent.__annotations__
}


def test_every_parameter_of_the_official_client_is_in_the_table() -> None:
    assert len(DOCUMENTED) > 30
    assert {row.name for row in PARAMETERS} == DOCUMENTED


def test_no_parameter_stands_twice() -> None:
    assert len({row.name for row in PARAMETERS}) == len(PARAMETERS)


def test_only_model_and_input_are_required() -> None:
    assert {row.name for row in PARAMETERS if row.required} == {"model", "input"}


def test_what_is_not_honoured_has_a_short_word_for_the_header() -> None:
    for row in PARAMETERS:
        said = row.treatment in (Treatment.TRANSLATED, Treatment.IGNORED)
        assert bool(row.note) == said, row.name
        assert "," not in row.note
        assert len(row.note) <= 100
        assert row.text


def test_every_effort_of_the_official_client_is_known() -> None:
    from openai.types.shared.reasoning_effort import ReasoningEffort

    assert all(repr(effort) in repr(ReasoningEffort) for effort in EFFORTS)


def test_the_page_has_every_row() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m checks.parameters_page"
    page = render().partition("## `POST /v1/responses`")[2].partition("\n## ")[0]
    for row in PARAMETERS:
        assert f"| `{row.name}` | {row.text}" in page
    for treatment in (Treatment.HONOURED, Treatment.IGNORED, Treatment.REFUSED):
        assert f"### {treatment.value.capitalize()}" in page
    assert f"### {Treatment.TRANSLATED.value.capitalize()}" not in page


@pytest.mark.parametrize("feature", list(Feature))
def test_every_feature_has_a_name(feature: Feature) -> None:
    assert OPENAI_RESPONSES.param_of(feature)


def test_features_are_named_where_this_dialect_has_them() -> None:
    assert OPENAI_RESPONSES.param_of(Feature.JSON_SCHEMA) == "text.format"
    assert OPENAI_RESPONSES.param_of(Feature.REASONING_EFFORT) == "reasoning.effort"
    assert OPENAI_RESPONSES.param_of(Feature.IMAGES) == "input"
    assert OPENAI_RESPONSES.name == "openai_responses"
