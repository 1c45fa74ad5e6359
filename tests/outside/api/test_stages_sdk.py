"""Stages as the official SDKs meet them on a real server: refused by name, let in, told of an end,
taken back."""

import json
from collections.abc import Iterator

import anthropic
import openai
import pytest

from tests.outside.api.conftest import Running
from tests.support.attack import until
from tests.support.instances import Script, add_scripts, new_account

ASK = [{"role": "user", "content": "hello"}]
OPEN_POLICY = """version = 1
[[private_preview.gate]]
name = "billing"
title = "Money comes out"
kind = "billing/1"
fresh_hours = 24
lead_days = 5
reproduce = "tokenbooth drill mixed --json"
need = [{ figure = "difference_nano", is = 0 }]
"""


@pytest.fixture(scope="module")
def staged(running: Running) -> Iterator[openai.OpenAI]:
    """A client of the organization ``partner``; ``staged`` is on the waitlist at first."""
    add_scripts(running.instance, Script("staged"))
    secret = new_account(running.instance, "partner")
    policy = running.instance.settings().data_dir / "launch-policy.toml"
    policy.write_text(OPEN_POLICY)
    running.instance.command("stage", "set", "staged", "waitlist")
    with openai.OpenAI(api_key=secret, base_url=running.base_url, max_retries=0) as made:
        yield made
    running.instance.command("stage", "set", "staged", "closed")


def status(client: openai.OpenAI) -> tuple[int, str]:
    """What a call gets, and the code of its error."""
    try:
        client.chat.completions.create(model="staged", messages=ASK)  # type: ignore[arg-type]
    except openai.APIStatusError as error:
        return error.status_code, str(error.code)
    return 200, ""


def test_a_model_comes_to_the_public_and_leaves_it(running: Running, staged: openai.OpenAI) -> None:
    command = running.instance.command
    until(lambda: status(staged) == (403, "model_not_open"))
    with anthropic.Anthropic(
        api_key=running.secret, base_url=running.address.base_url, max_retries=0
    ) as far:
        with pytest.raises(anthropic.PermissionDeniedError) as caught:
            far.messages.create(model="staged", messages=ASK, max_tokens=9)  # type: ignore[arg-type]
        assert "Ask the operator for a place" in str(caught.value)
    assert "staged" not in [row.id for row in staged.models.list()]

    figures = running.instance.settings().data_dir / "figures.json"
    figures.write_text(json.dumps({"difference_nano": 0}))
    signed = command("evidence", "sign", str(figures), "--kind", "billing/1", "--model", "staged")
    command("stage", "set", "staged", "private_preview")
    command("cohort", "create", "sdk", "--model", "staged", "--rpm", "2")
    command("cohort", "invite", "sdk", "partner")
    until(lambda: status(staged) == (200, ""))
    until(lambda: status(staged) == (429, "rate_limit_exceeded"))
    assert "staged" in [row.id for row in staged.models.list()]

    command("evidence", "revoke", str(signed["digest"]), "--reason", "it was not so")
    until(lambda: status(staged) == (403, "model_not_open"))
    (last,) = [
        row
        for row in command("stage", "list")["data"]  # type: ignore[attr-defined]
        if row["model"] == "staged"
    ]
    assert (last["stage"], last["author"]) == ("waitlist", "worker")


def test_an_announced_end_is_told_in_every_answer(running: Running, staged: openai.OpenAI) -> None:
    command = running.instance.command
    command("stage", "set", "demo", "deprecated", "--sunset", "2099-06-30", "--successor", "echo")
    try:
        raw = staged.chat.completions.with_raw_response

        def told() -> bool:
            headers = raw.create(model="demo", messages=ASK).headers  # type: ignore[arg-type]
            return headers.get("sunset") == "Tue, 30 Jun 2099 00:00:00 GMT" and headers.get(
                "deprecation", ""
            ).startswith("@")

        until(told)
        row = staged.models.retrieve("demo").model_dump()
        assert (row["lifecycle"], row["shutdown_date"]) == ("deprecated", "2099-06-30")
    finally:
        command("stage", "set", "demo", "ga")
