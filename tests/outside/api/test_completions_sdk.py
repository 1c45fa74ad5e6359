"""Text completions through the official `openai` package, also from an upstream."""

from collections.abc import Iterator

import openai
import pytest

from tests.outside.api.conftest import Running


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.secret, base_url=running.base_url, max_retries=0) as made:
        yield made


def balance_nano(client: openai.OpenAI) -> int:
    return client.get("/balance", cast_to=object)["spendable"]["amount_nano"]


def test_a_completion_has_its_text_usage_and_exact_cost(client: openai.OpenAI) -> None:
    before = balance_nano(client)
    answer = client.completions.create(model="demo", prompt="once upon a time", logprobs=2)
    choice = answer.choices[0]
    assert answer.object == "text_completion"
    assert choice.text
    assert answer.usage.prompt_tokens == 4
    assert "".join(choice.logprobs.tokens) == choice.text
    assert len(choice.logprobs.top_logprobs[0]) == 2
    assert balance_nano(client) == before - answer.usage.model_extra["cost"]["amount_nano"]


def test_a_stream_folds_to_the_whole_answer(client: openai.OpenAI) -> None:
    asked = {"model": "demo", "prompt": ["one", "two"], "n": 2, "echo": True, "max_tokens": 5}
    whole = client.completions.create(**asked)
    texts = ["", "", "", ""]
    with client.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == [choice.text for choice in whole.choices]
    assert [text[:3] for text in texts] == ["one", "one", "two", "two"]
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens == 20


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"prompt": [1, 2, 3]}, openai.BadRequestError, "prompt"),
        ({"best_of": 3}, openai.BadRequestError, "best_of"),
        ({"suffix": "end"}, openai.BadRequestError, "suffix"),
        ({"model": "plain"}, openai.BadRequestError, "prompt"),
        ({"model": "none-such"}, openai.NotFoundError, "model"),
        ({"model": "broken"}, openai.InternalServerError, None),
    ],
)
def test_errors_name_the_parameter(client: openai.OpenAI, fields, kind, param) -> None:
    with pytest.raises(kind) as refused:
        client.completions.create(**{"model": "demo", "prompt": "hi", **fields})
    assert refused.value.body.get("param") == param
    assert refused.value.request_id.startswith("req_")


def test_an_upstream_gets_the_raw_prompt(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="far", prompt="say this again", max_tokens=9)
    assert answer.choices[0].text == "say this again"
    assert answer.usage.prompt_tokens == 3
    chat = [{"role": "user", "content": "say this again"}]
    asked = client.chat.completions.create(model="far", messages=chat, max_tokens=9)
    assert asked.usage.prompt_tokens > 3
