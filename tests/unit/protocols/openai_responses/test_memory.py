"""What a response remembers: items with ids, what they become later, and the last words read."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses.response_item_list import ResponseItemList

from tests.support.responses import (
    END,
    FRAME,
    RECEIPT,
    ask,
    events,
    folded,
    stream_writer,
    whole_writer,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Role
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.openai_responses.memory import (
    completed,
    conversation,
    final_of,
    is_sealed,
    kept_items,
    listed_items,
    owner_of,
    unstored,
)

CORE = "ab" * 16
REQUEST = f"req_{CORE}"
PIXEL = "data:image/png;base64,AAAA"
EVERY_KIND: list[Any] = [
    {"role": "user", "content": "hi"},
    {"role": "user", "content": [{"type": "input_text", "text": "see"}]},
    {"role": "user", "content": [{"type": "input_image", "image_url": PIXEL}]},
    {"role": "assistant", "content": "said", "id": "msg_1"},
    {"role": "assistant", "content": [{"type": "output_text", "text": "so", "annotations": []}]},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "id": "rs_1"},
    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
    {"type": "custom_tool_call", "call_id": "c2", "name": "p", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": "y"},
]


def kept(*items: Any) -> list[Any]:
    memory = ask(input=list(items)).memory
    assert memory is not None
    return listed_items(kept_items(memory, REQUEST))


def test_every_kind_is_listed_as_the_official_client_reads_it() -> None:
    listed = kept(*EVERY_KIND)
    page = {"object": "list", "data": listed, "has_more": False, "first_id": "a", "last_id": "b"}
    ResponseItemList.model_validate(page)
    assert [item["type"] for item in listed[:2]] == ["message", "message"]
    assert all(item["status"] == "completed" for item in listed)


def test_what_was_kept_says_the_same_when_it_is_read_again() -> None:
    direct = ask(input=[*EVERY_KIND, {"role": "user", "content": "go on"}])
    later = ask(input="go on", previous_response_id="resp_1", instructions="Be kind.")
    assert later.turn.messages == ()
    whole = completed(later, kept(*EVERY_KIND), {})
    assert whole.turn.messages[0].role is Role.SYSTEM
    assert whole.turn.messages[1:] == direct.turn.messages
    assert len({note.param for note in whole.notes}) == len(whole.notes)


def test_a_text_is_kept_as_a_message() -> None:
    memory = ask(input="hi").memory
    assert memory is not None
    assert listed_items(kept_items(memory, REQUEST)) == [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "hi"}],
            "status": "completed",
            "id": f"msg_{CORE}_i0",
        }
    ]


def test_ids_are_kept_where_they_may_be_and_are_never_the_same_twice() -> None:
    said = {"role": "user", "content": "hi"}
    odd = [{**said, "id": made} for made in ("msg_a", "msg_a", "", 7, "a b", "x" * 200)]
    found = [item["id"] for item in kept(*odd, said)]
    assert found[0] == "msg_a"
    assert len(set(found)) == len(found)
    assert all(owner_of(one) == f"resp_{CORE}" for one in found[1:])


def test_what_is_left_out_of_the_turn_is_not_kept() -> None:
    said = {"role": "user", "content": "hi"}
    assert [i["type"] for i in kept({"type": "web_search_call"}, said)] == ["message"]


@pytest.mark.parametrize("strange", ["msg_1", "", "resp_ab", "msg_ab", "MSG_ab_0", "msg_zz_0"])
def test_other_ids_belong_to_nobody(strange: str) -> None:
    assert owner_of(strange) is None


@given(st.integers(0, 2**128 - 1), st.integers(0, 999), st.sampled_from(["", "i"]))
def test_an_id_of_ours_names_its_response(core: int, place: int, mark: str) -> None:
    assert owner_of(f"ctco_{core:032x}_{mark}{place}") == f"resp_{core:032x}"


def test_a_reference_stands_for_the_item() -> None:
    stored = {"type": "message", "role": "user", "content": "stored", "id": "msg_ab_0"}
    parsed = ask(input=[{"type": "item_reference", "id": "msg_ab_0"}])
    whole = completed(parsed, [], {"msg_ab_0": stored})
    assert [message.text for message in whole.turn.messages] == ["stored"]
    assert whole.memory is not None
    assert not whole.memory.recalls
    assert [item["id"] for item in listed_items(kept_items(whole.memory, REQUEST))] == ["msg_ab_0"]


def test_a_reference_to_reasoning_that_is_gone_is_skipped_and_not_kept() -> None:
    gone = {"type": "item_reference", "id": "rs_ab_0"}
    whole = completed(ask(input=[gone, {"role": "user", "content": "hi"}]), [], {})
    assert [message.text for message in whole.turn.messages] == ["hi"]
    assert [note.param for note in whole.notes] == ["input[].type=item_reference"]
    assert whole.memory is not None
    assert len(listed_items(kept_items(whole.memory, REQUEST))) == 1


@pytest.mark.parametrize("input_", [[{"id": "msg_ab_0"}], [{"type": "web_search_call"}]])
def test_a_question_without_a_word_is_refused(input_: list[Any]) -> None:
    with pytest.raises(Problem) as refused:
        completed(ask(input=input_, previous_response_id="resp_1"), [], {})
    assert refused.value.code in (Code.RESPONSE_NOT_FOUND, Code.INVALID_VALUE)
    assert refused.value.param in ("input[0].id", "input")


def test_a_fault_in_the_input_is_named_by_its_own_place() -> None:
    wrong = {"role": "assistant", "content": [{"type": "input_image", "image_url": PIXEL}]}
    parsed = ask(input=[wrong], previous_response_id="resp_1")
    with pytest.raises(Problem) as refused:
        completed(parsed, kept({"role": "user", "content": "earlier"}), {})
    assert refused.value.param == "input[0].content[0]"


ANSWER = [
    Delta(reasoning="hm"),
    Delta(text='say "x"\ndata: {"response":1}\n\n'),
    Delta(finish=FinishReason.STOP),
]


def last_words(*, stream: bool) -> tuple[bytes, bytes]:
    """All that an answer says, and what of it comes at its end."""
    writer = stream_writer(store=True) if stream else whole_writer(store=True)
    early = b"".join(map(writer.delta, ANSWER))
    last = writer.closing(END, RECEIPT)
    return early + last, last


@pytest.mark.parametrize("stream", [False, True])
def test_the_last_words_hold_the_response(stream: bool) -> None:
    said, last = last_words(stream=stream)
    for words in (said, last):
        response = final_of(words)
        assert response is not None
        assert response["status"] == "completed"
        assert len(conversation(b"[]", json.dumps(response).encode())) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_what_could_not_be_stored_says_so_and_nothing_else_changes(stream: bool) -> None:
    said, _ = last_words(stream=stream)
    before, after = final_of(said), final_of(unstored(said))
    assert before is not None
    assert after == {**before, "store": False}
    changed = unstored(said)
    assert changed.count(b"\n\n") == said.count(b"\n\n")
    assert changed.endswith(b"}\n\n" if stream else b"}")
    assert changed[: len(said) // 3] == said[: len(said) // 3]


@pytest.mark.parametrize(
    "words",
    [b"", b"{", b": keep-alive\n\n", b'{"error":{}}', b'event: a\ndata: {"type":"error"}\n\n'],
)
def test_other_words_hold_none(words: bytes) -> None:
    assert final_of(words) is None


def test_a_failed_response_is_one_too() -> None:
    writer = stream_writer()
    writer.delta(Delta(text="a"))
    failed = final_of(writer.problem(Problem(Code.ENGINE_FAILED, "broke")))
    assert failed is not None
    assert (failed["status"], failed["id"]) == ("failed", f"resp_{FRAME.request_id[4:]}")


SEALED = {"type": "reasoning", "summary": [], "encrypted_content": "sealed"}
SAID = [{"role": "assistant", "content": "so"}, {"role": "user", "content": "and?"}]


def test_sealed_reasoning_is_thought_before_what_follows_it() -> None:
    parsed = ask(input=[SEALED, *SAID])
    assert parsed.memory is not None
    assert (parsed.memory.thoughts, parsed.turn.messages) == (("sealed",), ())
    whole = completed(parsed, [], {}, {"sealed": "hm"})
    assert whole.turn.messages[0].reasoning == "hm"
    assert [note.what for note in whole.notes] == ["a hint; the engine may ignore it"]


@pytest.mark.parametrize("opened", [{}, {"other": "hm"}])
def test_what_nobody_here_sealed_is_skipped_and_said(opened: dict[str, str]) -> None:
    whole = completed(ask(input=[SEALED, *SAID]), [], {}, opened)
    assert whole.turn.messages[0].reasoning == ""
    assert [note.what for note in whole.notes] == ["skipped: it holds no text"]


@pytest.mark.parametrize(
    "item",
    [
        {**SEALED, "summary": [{"type": "summary_text", "text": "hm"}]},
        {**SEALED, "content": [{"type": "reasoning_text", "text": "hm"}]},
        {**SEALED, "encrypted_content": None},
        {**SEALED, "encrypted_content": 7},
        {"role": "user", "content": "hi", "encrypted_content": "x"},
    ],
)
def test_what_can_be_read_is_not_opened(item: dict[str, Any]) -> None:
    assert not is_sealed(item)
    assert ask(input=[item, *SAID]).turn.messages


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("summary", [None, "auto"])
def test_reasoning_is_sealed_where_that_is_asked_for(stream: bool, summary: str | None) -> None:
    fields = {"include": ["reasoning.encrypted_content"], "reasoning": {"summary": summary}}
    parsed = ask(stream=stream, **fields)
    assert parsed.memory is not None
    assert parsed.memory.seals
    assert not [note for note in parsed.notes if note.param.startswith("include")]
    memory = replace(parsed.memory, seal=lambda text: f"<{text}>")
    writer = OPENAI_RESPONSES.writer(replace(parsed, memory=memory), FRAME)
    deltas = [Delta(reasoning="h"), Delta(reasoning="m"), *ANSWER[1:]]
    said = b"".join(map(writer.delta, deltas)) + writer.closing(END, RECEIPT)
    response = folded(events(said)) if stream else final_of(said)
    assert response is not None
    assert response["output"][0]["encrypted_content"] == "<hm>"
