"""Blocks to messages of a turn: what each kind becomes, in which order, and what is said of it."""

import json
from typing import Any

import pytest

from tests.support.messages_body import HI, messages, notes, parse, said, text
from tokenbooth.core.turn import ImagePart, Message, Role, TextPart, ToolCall

PIXEL = "iVBORw0KGgo="
BASE64 = {"type": "base64", "media_type": "image/png", "data": PIXEL}
IMAGE = {"type": "image", "source": BASE64}
PICTURE = ImagePart(f"data:image/png;base64,{PIXEL}")
USE = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": [1, "é"]}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "a cat"}


def of_user(*parts: Any) -> Message:
    return Message(Role.USER, parts)


def test_strings_and_text_blocks_say_the_same() -> None:
    assert messages(said("user", text("hi"))) == messages(HI)
    assert messages(said("user", text("a"), text("b"))) == (of_user(TextPart("a"), TextPart("b")),)
    assert messages({"role": "assistant", "content": "yes"}, HI)[0] == Message(
        Role.ASSISTANT, (TextPart("yes"),)
    )


def test_the_system_prompt_comes_first_in_either_form() -> None:
    expected = Message(Role.SYSTEM, (TextPart("Be kind."),))
    for system in ("Be kind.", [text("Be kind.")]):
        assert parse(system=system).turn.messages[0] == expected
    several = parse(system=[text("a"), text("b")]).turn.messages
    assert several[0].parts == (TextPart("a"), TextPart("b"))
    assert parse(system=[]).turn.messages == parse().turn.messages


def test_a_system_message_keeps_its_place_among_the_others() -> None:
    found = messages(HI, said("system", text("now")), {"role": "system", "content": "then"})
    assert [(m.role, m.text) for m in found] == [
        (Role.USER, "hi"),
        (Role.SYSTEM, "now"),
        (Role.SYSTEM, "then"),
    ]


def test_images_by_address_and_by_value() -> None:
    url = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    assert messages(said("user", text("see"), IMAGE, url)) == (
        of_user(TextPart("see"), PICTURE, ImagePart("https://x/y.png")),
    )
    assert len(parse(messages=[said("user", IMAGE, url)]).turn.media) == 2


def test_an_assistant_speaks_thinks_and_calls() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    parsed = parse(
        messages=[
            HI,
            said(
                "assistant",
                thought,
                {"type": "redacted_thinking", "data": "x"},
                text("Looking."),
                USE,
                {**thought, "thinking": "so"},
            ),
        ]
    )
    assert parsed.turn.messages[1] == Message(
        Role.ASSISTANT,
        (TextPart("Looking."),),
        tool_calls=(ToolCall("t1", "look", '{"at":[1,"é"]}'),),
        reasoning="hm\nso",
    )
    assert notes(parsed) == {
        "messages[].content[].thinking": "a hint; the engine may ignore it",
        "messages[].content[].redacted_thinking": "ignored: no engine can read it",
    }


def test_results_of_tools_stand_right_behind_the_calls() -> None:
    found = messages(
        HI,
        said("assistant", USE, {**USE, "id": "t2"}),
        said("user", text("and?"), RESULT, {**RESULT, "tool_use_id": "t2", "content": [text("b")]}),
    )
    assert [(m.role, m.text, m.tool_call_id) for m in found[2:]] == [
        (Role.TOOL, "a cat", "t1"),
        (Role.TOOL, "b", "t2"),
        (Role.USER, "and?", None),
    ]


def test_a_result_may_be_empty() -> None:
    for content in (None, "", []):
        (found,) = messages(said("user", {**RESULT, "content": content}))
        assert found == Message(Role.TOOL, (TextPart(""),), tool_call_id="t1")


def test_images_of_a_tool_follow_in_the_message_of_the_user() -> None:
    parsed = parse(
        messages=[
            said("user", {**RESULT, "content": [text("shot"), IMAGE]}, RESULT, text("what is it?"))
        ]
    )
    assert parsed.turn.messages == (
        Message(Role.TOOL, (TextPart("shot"),), tool_call_id="t1"),
        Message(Role.TOOL, (TextPart("a cat"),), tool_call_id="t1"),
        of_user(PICTURE, TextPart("what is it?")),
    )
    assert notes(parsed) == {
        "messages[].content[].content[].source": "translated to a message of the user"
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"type": "text", "media_type": "text/plain", "data": "body"}, "body"),
        ({"type": "content", "content": "body"}, "body"),
        ({"type": "content", "content": [text("a"), text("b")]}, "a\nb"),
        ({"type": "content", "content": [text("a"), {"type": "novel"}]}, "a"),
    ],
)
def test_a_document_becomes_text(source: Any, expected: str) -> None:
    document = {"type": "document", "source": source}
    assert messages(said("user", document)) == (of_user(TextPart(expected)),)
    headed = {**document, "title": "T", "context": "C", "citations": {"enabled": True}}
    parsed = parse(messages=[said("user", headed)])
    assert parsed.turn.messages == (of_user(TextPart(f"T\nC\n{expected}")),)
    found = notes(parsed)
    assert found["messages[].content[].document"] == "translated to text"
    assert found["messages[].content[].citations"] == "ignored: answers cite nothing"


def test_a_search_result_becomes_text_also_inside_a_result() -> None:
    hit = {"type": "search_result", "source": "s", "title": "t", "content": [text("a")]}
    parsed = parse(messages=[said("user", hit, {**RESULT, "content": [hit]})])
    assert [m.text for m in parsed.turn.messages] == ["t\ns\na", "t\ns\na"]
    assert notes(parsed) == {"messages[].content[].search_result": "translated to text"}


def test_cache_control_is_taken_everywhere_and_noted_by_place() -> None:
    cached = {"cache_control": {"type": "ephemeral"}}
    parsed = parse(
        system=[text("s", **cached)],
        messages=[
            said("user", text("a", **cached), {**IMAGE, **cached}),
            said("assistant", text("b", **cached), {**USE, **cached}),
            said("user", {**RESULT, **cached, "content": [text("c", **cached)]}),
            said("system", text("d", **cached)),
        ],
        cache_control={"type": "ephemeral", "ttl": "5m"},
    )
    what = "ignored: the engine decides what is cached"
    assert notes(parsed) == {
        "cache_control": what,
        "system[].cache_control": what,
        "messages[].content[].cache_control": what,
        "messages[].content[].content[].cache_control": what,
    }


@pytest.mark.parametrize(
    ("block", "param"),
    [
        (text("a", citations=[{"type": "char_location"}]), "citations"),
        ({**IMAGE, "transformations": {}}, "transformations"),
        ({**RESULT, "is_error": True}, "is_error"),
    ],
)
def test_what_a_block_says_that_has_no_effect_is_noted(block: Any, param: str) -> None:
    found = notes(parse(messages=[said("user", block)]))
    assert list(found) == [f"messages[].content[].{param}"]


def test_the_answers_of_the_official_client_need_no_notes() -> None:
    """It sends back null where the answer had nothing."""
    spoken = said("assistant", text("a", citations=None), {**USE, "caller": None})
    good = {**RESULT, "is_error": False, "cache_control": None}
    assert parse(messages=[HI, spoken, said("user", good)]).notes == ()
    called = said("assistant", {**USE, "caller": {"type": "direct"}})
    assert notes(parse(messages=[HI, called])) == {
        "messages[].content[].caller": "ignored: every tool is called directly"
    }


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_blocks_of_unknown_kinds_are_left_out_with_a_note(role: str) -> None:
    novel = {"type": "server_tool_use", "id": "x", "name": "web_search", "input": {}}
    parsed = parse(messages=[HI, said(role, novel, text("a"), {"type": "Nötig\n"})])
    assert parsed.turn.messages[1].text == "a"
    assert notes(parsed) == {
        "messages[].content[].server_tool_use": "ignored: unknown here",
        "messages[].content[].N?tig?": "ignored: unknown here",
    }


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_a_message_that_says_nothing_is_left_out(role: str) -> None:
    for content in ([], [{"type": "novel"}]):
        parsed = parse(messages=[HI, {"role": role, "content": content}])
        assert parsed.turn.messages == parse().turn.messages
        assert notes(parsed)["messages[]"] == "ignored: a message without content"


def test_a_result_holds_unknown_blocks_too() -> None:
    inner = [{"type": "tool_reference", "tool_name": "look"}, text("a")]
    parsed = parse(messages=[said("user", {**RESULT, "content": inner})])
    assert [m.text for m in parsed.turn.messages] == ["a"]
    assert list(notes(parsed)) == ["messages[].content[].content[].tool_reference"]


def test_a_round_trip_of_an_answer() -> None:
    """What was answered goes back as it came, as clients do it."""
    answer = [
        {"type": "thinking", "thinking": "hm", "signature": "tokenbooth_req_1"},
        text("Looking."),
        USE,
    ]
    found = messages(HI, said("assistant", *json.loads(json.dumps(answer))), said("user", RESULT))
    assert [m.role for m in found] == [Role.USER, Role.ASSISTANT, Role.TOOL]
    assert found[1].tool_calls[0].id == found[2].tool_call_id
