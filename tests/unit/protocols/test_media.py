"""Media as each dialect names it: the same parts of a turn, and each with its place in the body."""

import json
from typing import Any

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import (
    AudioPart,
    DocumentPart,
    ImagePart,
    MediaPart,
    Role,
    TextPart,
    VideoPart,
)
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.dialect import Dialect, Parsed
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES

Json = dict[str, Any]
DIALECTS = {d.name: d for d in (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES)}
CHAT, RESPONSES, MESSAGES = DIALECTS
WEB = "https://x.example/y"
PNG, PDF, MP4 = (
    f"data:{kind};base64,AAAA" for kind in ("image/png", "application/pdf", "video/mp4")
)
BARE = "data:application/octet-stream;base64,AAAA"


def read(name: str, *parts: Json, role: str = "user") -> Parsed:
    """A body whose second message holds the parts behind a text."""
    dialect: Dialect = DIALECTS[name]
    kind = "input_text" if name == RESPONSES else "text"
    said = [{"role": "user", "content": "hi"}]
    said.append({"role": role, "content": [{"type": kind, "text": "see"}, *parts]})  # type: ignore[dict-item]
    body: Json = {"model": "m", "max_tokens": 9, "messages": said}
    if name == RESPONSES:
        body = {"model": "m", "input": said}
    return dialect.parse(json.dumps(body).encode())


def source(kind: str, **fields: str) -> Json:
    return {"type": kind, "source": fields}


def base64(kind: str, media_type: str) -> Json:
    return source(kind, type="base64", media_type=media_type, data="AAAA")


def chat(kind: str, **fields: str) -> Json:
    return {"type": kind, kind: fields}


def item(kind: str, **fields: Any) -> Json:
    return {"type": kind, **fields}


# Dialect, part, what it becomes, and the last of its place.
SENT: list[tuple[str, Json, MediaPart, str]] = [
    (CHAT, chat("image_url", url=WEB), ImagePart(WEB), "image_url.url"),
    (CHAT, chat("image_url", url="http://x/y"), ImagePart("http://x/y"), "image_url.url"),
    (CHAT, chat("image_url", url=PNG, detail="auto"), ImagePart(PNG), "image_url.url"),
    (CHAT, chat("file", file_data=PDF, filename="a.pdf"), DocumentPart(PDF), "file.file_data"),
    (CHAT, chat("file", file_data="AAAA"), DocumentPart(BARE), "file.file_data"),
    (CHAT, chat("file", file_id="file_1"), DocumentPart("file:file_1"), "file.file_id"),
    (CHAT, chat("input_audio", data="AAAA", format="wav"), AudioPart(BARE), "input_audio.data"),
    (CHAT, chat("video_url", url=MP4), VideoPart(MP4), "video_url.url"),
    (RESPONSES, item("input_image", image_url=WEB), ImagePart(WEB), "image_url"),
    (RESPONSES, item("input_image", file_id="file_1"), ImagePart("file:file_1"), "file_id"),
    (RESPONSES, item("input_file", file_url=WEB, detail="auto"), DocumentPart(WEB), "file_url"),
    (RESPONSES, item("input_file", file_data=PDF), DocumentPart(PDF), "file_data"),
    (RESPONSES, item("input_file", file_id="file_1"), DocumentPart("file:file_1"), "file_id"),
    (RESPONSES, item("input_video", video_url=WEB), VideoPart(WEB), "video_url"),
    (RESPONSES, item("input_video", file_id="file_1"), VideoPart("file:file_1"), "file_id"),
    (
        RESPONSES,
        item("input_audio", input_audio={"data": "AAAA", "format": "mp3"}),
        AudioPart(BARE),
        "input_audio.data",
    ),
    (MESSAGES, base64("image", "image/png"), ImagePart(PNG), "source.data"),
    (MESSAGES, source("image", type="url", url=WEB), ImagePart(WEB), "source.url"),
    (
        MESSAGES,
        source("image", type="file", file_id="file_1"),
        ImagePart("file:file_1"),
        "source.file_id",
    ),
    (MESSAGES, base64("document", "application/pdf"), DocumentPart(PDF), "source.data"),
    (MESSAGES, source("document", type="url", url=WEB), DocumentPart(WEB), "source.url"),
    (
        MESSAGES,
        source("document", type="file", file_id="file_1"),
        DocumentPart("file:file_1"),
        "source.file_id",
    ),
    (MESSAGES, base64("video", "video/mp4"), VideoPart(MP4), "source.data"),
    (MESSAGES, source("video", type="url", url=WEB), VideoPart(WEB), "source.url"),
]


@pytest.mark.parametrize(("name", "sent", "expected", "place"), SENT)
def test_a_part_becomes_itself_and_knows_its_place(
    name: str, sent: Json, expected: MediaPart, place: str
) -> None:
    turn = read(name, sent).turn
    assert turn.messages[-1].parts == (TextPart("see"), expected)
    (part,) = turn.media
    assert type(part) is type(expected)
    assert part.param == f"{'input' if name == RESPONSES else 'messages'}[1].content[1].{place}"


@pytest.mark.parametrize(
    ("name", "sent", "param"),
    [
        (CHAT, chat("file", file_id="f", file_data="AAAA"), "file.file_id"),
        (RESPONSES, item("input_image", file_id="f", image_url=WEB), "file_id"),
        (RESPONSES, item("input_file", file_url=WEB, file_id="f"), "file_url"),
    ],
)
def test_what_is_named_twice_is_refused(name: str, sent: Json, param: str) -> None:
    with pytest.raises(Problem, match="send one of the two") as caught:
        read(name, sent)
    assert caught.value.code is Code.INVALID_VALUE
    assert (caught.value.param or "").endswith(f"[1].{param}")


@pytest.mark.parametrize("kind", ["image_url", "file", "input_audio", "video_url"])
@pytest.mark.parametrize("role", ["system", "assistant"])
def test_media_of_others_than_the_user_is_refused_by_name(kind: str, role: str) -> None:
    with pytest.raises(Problem, match="messages of the user") as caught:
        read(CHAT, {"type": kind, kind: {}}, role=role)
    assert caught.value.code is Code.UNSUPPORTED_FEATURE
    assert caught.value.param == f"messages[1].content[1].{kind}"


def test_a_document_with_a_title_says_it_first() -> None:
    sent = {**base64("document", "application/pdf"), "title": "Plan", "context": "Secret."}
    parsed = read(MESSAGES, sent)
    assert parsed.turn.messages[1].parts[1:] == (TextPart("Plan\nSecret.\n"), DocumentPart(PDF))
    assert "messages[].content[].document.title" in {note.param for note in parsed.notes}


def test_media_in_the_result_of_a_tool_goes_to_the_user_with_its_place() -> None:
    held = [base64("image", "image/png"), base64("document", "application/pdf")]
    result = {"type": "tool_result", "tool_use_id": "t", "content": held}
    turn = read(MESSAGES, result).turn
    assert [message.role for message in turn.messages] == [Role.USER, Role.TOOL, Role.USER]
    assert [part.param for part in turn.media] == [
        f"messages[1].content[1].content[{place}].source.data" for place in range(2)
    ]


def test_the_result_of_a_tool_may_hold_media_in_responses() -> None:
    output = [item("input_image", image_url=PNG), item("input_file", file_data=PDF)]
    body = {"model": "m", "input": [item("function_call_output", call_id="c", output=output)]}
    turn = OPENAI_RESPONSES.parse(json.dumps(body).encode()).turn
    assert turn.messages[0].parts == (ImagePart(PNG), DocumentPart(PDF))
    assert [part.param for part in turn.media] == [
        "input[0].output[0].image_url",
        "input[0].output[1].file_data",
    ]
