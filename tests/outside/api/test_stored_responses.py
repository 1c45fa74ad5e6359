"""Stored responses through the official `openai` package: kept, continued, listed and deleted."""

from collections.abc import Callable, Iterator

import openai
import pytest

from tests.outside.api.conftest import Running
from tests.outside.api.test_openai_responses import TOOL, balance_nano

GONE = "response_not_found"


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.secret, base_url=running.base_url, max_retries=0) as made:
        yield made


@pytest.fixture
def foreign(running: Running) -> Iterator[openai.OpenAI]:
    """A client of another organization."""
    with openai.OpenAI(api_key=running.foreign, base_url=running.base_url, max_retries=0) as made:
        yield made


def ids(page) -> list[str]:
    return [item.id for item in page]


def said(page) -> list[str]:
    """The texts of messages."""
    return [part.text for item in page for part in item.content]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_response_is_given_again_as_it_was(client, streamed):
    asked = {"model": "echo", "input": "remember me", "metadata": {"a": "b"}}
    if streamed:
        with client.responses.stream(**asked) as stream:
            stream.until_done()
            made = stream.get_final_response()
    else:
        made = client.responses.create(**asked)
    before = balance_nano(client)
    found = client.responses.retrieve(made.id)
    assert found.output_text == "remember me"
    assert found.completed_at is not None
    assert found.model_extra["store"] is True
    assert found.model_dump(exclude={"output"}) == made.model_dump(exclude={"output"})
    assert [item.id for item in found.output] == [item.id for item in made.output]
    assert balance_nano(client) == before


def test_a_conversation_of_many_turns_goes_on_by_its_last_id(client):
    previous, counts = None, []
    for text in ("one", "two", "three"):
        answer = client.responses.create(
            model="echo",
            input=text,
            previous_response_id=previous,
            instructions="Echo, please." if previous is None else None,
        )
        assert answer.output_text == text
        assert answer.previous_response_id == previous
        counts.append(answer.usage.input_tokens)
        previous = answer.id
    assert counts == sorted(set(counts))
    listed = client.responses.input_items.list(previous, order="asc")
    assert said(listed) == ["one", "one", "two", "two", "three"]
    assert [item.role for item in listed] == ["user", "assistant", "user", "assistant", "user"]


def test_the_same_conversation_costs_the_same_by_id_and_by_its_items(client):
    first = client.responses.create(model="demo", input="hello there", tools=[TOOL])
    by_id = client.responses.create(model="demo", input="go on", previous_response_id=first.id)
    items = [
        {"role": "user", "content": "hello there"},
        *(item.model_dump() for item in first.output),
        {"role": "user", "content": "go on"},
    ]
    by_items = client.responses.create(model="demo", input=items)
    assert by_id.output_text == by_items.output_text
    assert by_id.usage.input_tokens == by_items.usage.input_tokens
    assert by_id.usage.model_extra["cost"] == by_items.usage.model_extra["cost"]


def test_a_tool_round_trip_needs_only_the_result(client):
    first = client.responses.create(
        model="demo", input="hello", tools=[TOOL], tool_choice="required"
    )
    (call,) = first.output
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    answer = client.responses.create(
        model="demo", input=[result], tools=[TOOL], previous_response_id=first.id
    )
    assert answer.output_text
    kinds = [item.type for item in client.responses.input_items.list(answer.id, order="asc")]
    assert kinds == ["message", "function_call", "function_call_output"]


def test_an_item_may_be_named_instead_of_sent(client):
    first = client.responses.create(model="echo", input="the first words")
    named = {"type": "item_reference", "id": first.output[0].id}
    answer = client.responses.create(
        model="echo", input=[named, {"role": "user", "content": "and more"}]
    )
    assert said(client.responses.input_items.list(answer.id, order="asc")) == [
        "the first words",
        "and more",
    ]


def test_items_come_in_pages_from_either_end(client):
    items = [{"role": "user", "content": f"word {n}"} for n in range(7)]
    answer = client.responses.create(model="echo", input=items)
    forward = client.responses.input_items.list(answer.id, order="asc", limit=3)
    assert said(forward.data) == ["word 0", "word 1", "word 2"]
    assert forward.has_more
    assert len(set(ids(forward))) == 7
    assert ids(client.responses.input_items.list(answer.id, limit=2)) == ids(forward)[::-1]
    after = client.responses.input_items.list(answer.id, order="asc", after=ids(forward)[4])
    assert said(after.data) == ["word 5", "word 6"]
    assert not after.has_more


def reads(response_id: str) -> list[Callable[[openai.OpenAI], object]]:
    return [
        lambda c: c.responses.retrieve(response_id),
        lambda c: c.responses.input_items.list(response_id),
        lambda c: c.responses.delete(response_id),
    ]


def test_nobody_else_sees_continues_or_deletes_it(client, foreign):
    made = client.responses.create(model="echo", input="a secret")
    for read in reads(made.id):
        with pytest.raises(openai.NotFoundError) as refused:
            read(foreign)
        assert refused.value.code == GONE
        assert "a secret" not in str(refused.value)
    named = {"type": "item_reference", "id": made.output[0].id}
    for fields in ({"previous_response_id": made.id}, {"input": [named]}):
        with pytest.raises(openai.NotFoundError):
            foreign.responses.create(**{"model": "echo", "input": "hi", **fields})
    assert client.responses.retrieve(made.id).output_text == "a secret"


def test_what_is_deleted_is_gone_and_so_is_what_went_on_from_it(client):
    made = client.responses.create(model="echo", input="one")
    later = client.responses.create(model="echo", input="two", previous_response_id=made.id)
    client.responses.delete(made.id)
    for read in reads(made.id):
        with pytest.raises(openai.NotFoundError) as refused:
            read(client)
        assert refused.value.code == GONE
    for previous in (made.id, later.id):
        with pytest.raises(openai.NotFoundError) as refused:
            client.responses.create(model="echo", input="x", previous_response_id=previous)
        assert refused.value.code == "previous_response_not_found"
        assert refused.value.param == "previous_response_id"
        assert made.id in str(refused.value)
    assert said(client.responses.input_items.list(later.id)) == ["two"]


def test_what_is_not_to_be_stored_is_not(client):
    made = client.responses.create(model="echo", input="hush", store=False)
    assert made.model_extra["store"] is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": 0}, "limit"), ({"order": "up"}, "order"), ({"after": "msg_none"}, "after")],
)
def test_impossible_pages_are_refused_by_name(client, query, param):
    made = client.responses.create(model="echo", input="hi")
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.input_items.list(made.id, **query)
    assert refused.value.param == param


def reasoned(client: openai.OpenAI):
    """A reasoning item as a client keeps it that wants none of its words."""
    made = client.responses.create(
        model="thinker", input="hi", store=False, include=["reasoning.encrypted_content"]
    )
    (item,) = [item for item in made.output if item.type == "reasoning"]
    assert item.encrypted_content
    return {
        "type": "reasoning",
        "id": item.id,
        "summary": [],
        "encrypted_content": item.encrypted_content,
    }


def note_on_reasoning(client: openai.OpenAI, item: dict) -> str:
    raw = client.responses.with_raw_response.create(
        model="thinker",
        store=False,
        input=[
            {"role": "user", "content": "hi"},
            item,
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": "go on"},
        ],
    )
    return raw.headers["x-tokenbooth-notes"]


def test_sealed_reasoning_is_read_again_by_its_own_project_alone(client, foreign):
    item = reasoned(client)
    assert note_on_reasoning(client, item) == (
        "input[].type=reasoning=a hint; the engine may ignore it"
    )
    assert "skipped: it holds no text" in note_on_reasoning(foreign, item)
    changed = {**item, "encrypted_content": item["encrypted_content"][:-8] + "AAAAAAAA"}
    assert "skipped: it holds no text" in note_on_reasoning(client, changed)


def test_input_tokens_are_counted_for_free_with_the_conversation(client):
    before = balance_nano(client)
    first = client.responses.create(model="demo", input="hello there")
    spent = before - balance_nano(client)
    counted = client.responses.input_tokens.count(
        model="demo", input="go on", previous_response_id=first.id
    )
    assert counted.object == "response.input_tokens"
    assert balance_nano(client) == before - spent
    made = client.responses.create(model="demo", input="go on", previous_response_id=first.id)
    assert counted.input_tokens == made.usage.input_tokens


def test_a_compacted_conversation_goes_on_without_its_history(client):
    first = client.responses.create(model="demo", input="My name is Ada.")
    before = balance_nano(client)
    compacted = client.responses.compact(model="demo", previous_response_id=first.id, input="Hm.")
    assert compacted.object == "response.compaction"
    assert [item.type for item in compacted.output] == ["message", "message", "compaction"]
    said = [item.content[0].text for item in compacted.output[:2]]
    assert said == ["My name is Ada.", "Hm."]
    assert compacted.usage.total_tokens > 0
    assert balance_nano(client) < before
    window = [item.model_dump(exclude_none=True, warnings=False) for item in compacted.output]
    next_one = client.responses.create(
        model="demo", input=[*window, {"role": "user", "content": "Go on."}]
    )
    assert next_one.output_text
    again = client.responses.create(model="demo", input="More.", previous_response_id=next_one.id)
    assert again.status == "completed"
    items = client.responses.input_items.list(next_one.id).data
    assert [item.type for item in items].count("compaction") == 1
    broken = {**window[-1], "encrypted_content": "bm90IG91cnM="}
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="demo", input=[broken])
    assert refused.value.param == "input[0].encrypted_content"
