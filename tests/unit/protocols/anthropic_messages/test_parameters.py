"""The table of parameters is complete, and the page says what the table says."""

import re

import pytest

from checks.parameters_page import PAGE, render
from tokenbooth.protocols.anthropic_messages.parameters import BODY, PARAMETERS
from tokenbooth.protocols.parameters import Treatment

# The fields of the body that the official Python client knows, plain and beta, in version 2.11; and
# the three of sampling that it dropped, which older clients send.
DOCUMENTED = {
    "billing_policy",
    "cache_control",
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "thinking",
    "thread",
    "tool_choice",
    "tools",
    "temperature",
    "top_k",
    "top_p",
}


def test_every_parameter_of_the_official_client_is_in_the_table() -> None:
    assert {row.name for row in PARAMETERS} == DOCUMENTED
    assert len({row.name for row in PARAMETERS}) == len(PARAMETERS)


def test_only_model_and_messages_are_required() -> None:
    assert {row.name for row in PARAMETERS if row.required} == {"model", "messages"}
    assert BODY.schema()["required"] == ["model", "messages"]


@pytest.mark.parametrize("row", PARAMETERS, ids=lambda row: row.name)
def test_what_is_not_honoured_has_a_short_word_for_the_header(row) -> None:
    said = row.treatment in (Treatment.TRANSLATED, Treatment.IGNORED)
    assert bool(row.note) == said
    assert "," not in row.note
    assert len(row.note) <= 100
    assert row.text.endswith(".")


def test_the_page_has_a_section_of_this_endpoint_with_every_row() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == render(), "run python -m checks.parameters_page"
    section = page.partition("## `POST /v1/messages`")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [
        row.name for treatment in Treatment for row in PARAMETERS if row.treatment is treatment
    ]
    titles = re.findall(r"^### (\w+)", section, re.MULTILINE)
    assert titles == ["Honoured", "Translated", "Ignored", "Refused", "Blocks", "Answers"]


def test_the_request_schema_tells_every_parameter() -> None:
    properties = BODY.schema()["properties"]
    assert list(properties) == [row.name for row in PARAMETERS]
    assert all(properties[row.name]["description"] == row.text for row in PARAMETERS)
