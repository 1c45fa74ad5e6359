"""``/v1/models`` through the models lists of both official SDKs, read strictly."""

from collections.abc import Iterator

import anthropic
import openai
import pytest
from anthropic.types import ModelInfo
from openai.types import Model

from tests.outside.api.conftest import Running
from tests.support.instances import new_account


@pytest.fixture
def far(running: Running) -> Iterator[anthropic.Anthropic]:
    address = running.address.base_url
    with anthropic.Anthropic(api_key=running.secret, base_url=address, max_retries=0) as made:
        yield made


@pytest.fixture
def near(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.secret, base_url=running.base_url, max_retries=0) as made:
        yield made


def test_every_row_is_a_whole_model_to_both(far: anthropic.Anthropic, near: openai.OpenAI) -> None:
    ours = list(far.models.list())
    theirs = list(near.models.list())
    assert [row.id for row in ours] == [row.id for row in theirs]
    for row in ours:
        strict = ModelInfo.model_validate(row.model_dump())
        assert strict.capabilities is None or strict.capabilities.thinking.types.disabled.supported
    for other in theirs:
        assert Model.model_validate(other.model_dump()).object == "model"
    one = far.models.retrieve("demo")
    assert one.display_name == near.models.retrieve("demo").model_dump()["display_name"] == "demo"


def test_a_page_of_one_leads_to_all(far: anthropic.Anthropic) -> None:
    names = [row.id for row in far.models.list()]
    assert len(names) > 3
    assert [row.id for row in far.models.list(limit=1)] == names
    page = far.models.list(limit=2, before_id=names[3])
    assert [row.id for row in page.data] == names[1:3]
    assert page.has_more
    assert [row.id for row in page.get_next_page().data] == names[:1]


def test_a_key_with_a_list_sees_nothing_else(running: Running) -> None:
    secret = new_account(running.instance, "narrow", models=frozenset({"demo"}))
    with openai.OpenAI(api_key=secret, base_url=running.base_url, max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["demo"]
        with pytest.raises(openai.PermissionDeniedError):
            client.models.retrieve("echo")


def test_other_formats_come_by_query(near: openai.OpenAI, running: Running) -> None:
    dev = near.get("/models?format=models.dev", cast_to=object)["tokenbooth"]
    flat = near.get("/models?format=openrouter", cast_to=object)["data"]
    assert set(dev["models"]) == {row["id"] for row in flat} >= {"demo", "echo"}
    assert dev["api"] == running.base_url
