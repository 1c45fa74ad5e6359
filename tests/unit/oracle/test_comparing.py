"""The oracle's own parts: what it asks, what it reads, and that it finds a planted difference."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import servers
from tests.oracle.cases import Case, cases
from tests.oracle.comparing import Difference, Kind, differences
from tests.oracle.explained import REASONS, Reason, reason
from tests.oracle.families import Family, Mode
from tests.oracle.page import Compared, compared, page
from tests.oracle.published import is_published
from tests.oracle.reading import Seen, seen
from tests.oracle.servers import LLAMA, VLLM, OracleFault

BY_TITLE = {case.title: case for case in cases()}
CHAT, STREAMED = BY_TITLE["chat/plain/whole"], BY_TITLE["chat/plain/streamed"]
COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1",
    "model": "m",
    "choices": [{"finish_reason": "stop", "message": {"content": "Hi", "refusal": None}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2},
}
CHUNKS: tuple[dict[str, Any], ...] = (
    {"choices": [{"delta": {"role": "assistant", "content": "H"}, "finish_reason": None}]},
    {"choices": [{"delta": {"content": "i"}, "finish_reason": None}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}},
)


def whole(**changed: Any) -> Seen:
    return seen(CHAT, 200, json.dumps({**COMPLETION, **changed}).encode())


def streamed(*chunks: dict[str, Any], end: str = "data: [DONE]\n\n") -> Seen:
    said = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return seen(STREAMED, 200, f": waits\n\n{said}{end}".encode())


def found(case: Case, booth: Seen, oracle: Seen) -> list[tuple[Kind, str]]:
    return [(each.kind, each.place) for each in differences(case, booth, oracle)]


def test_every_family_is_asked_fifty_times_and_more() -> None:
    counts = Counter(case.family for case in BY_TITLE.values() if case.mode is not Mode.COUNTED)
    assert set(counts) == set(Family)
    assert min(counts.values()) >= 50
    assert len(BY_TITLE) == len(list(cases()))


def test_answers_that_are_alike_have_no_difference() -> None:
    assert found(CHAT, whole(), whole(id="another")) == []
    assert found(STREAMED, streamed(*CHUNKS), streamed(*CHUNKS[:1], *CHUNKS)) == [(Kind.TEXT, "")]


@pytest.mark.parametrize(
    ("changed", "planted"),
    [
        ({"usage": {"prompt_tokens": 6, "completion_tokens": 2}}, (Kind.INPUT, "")),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 3}}, (Kind.OUTPUT, "")),
        ({"model": None}, (Kind.TYPE, "model")),
        ({"extra": {"deep": 1}}, (Kind.THEIRS, "extra")),
        (
            {
                "choices": [
                    {"finish_reason": "length", "message": {"content": "Hi", "refusal": None}}
                ]
            },
            (Kind.FINISH, ""),
        ),
        (
            {"choices": [{"finish_reason": "stop", "message": {"content": "Ho", "refusal": None}}]},
            (Kind.TEXT, ""),
        ),
        (
            {"choices": [{"finish_reason": "stop", "message": {"content": "Hi"}}]},
            (Kind.OURS, "choices[].message.refusal"),
        ),
    ],
)
def test_a_planted_difference_is_found(changed: dict[str, Any], planted: tuple[Kind, str]) -> None:
    assert found(CHAT, whole(), whole(**changed)) == [planted]


def test_a_status_ends_the_comparison() -> None:
    refused = seen(CHAT, 400, b'{"error": {"message": "no"}}')
    assert found(CHAT, whole(), refused) == [(Kind.STATUS, "")]
    assert found(CHAT, refused, refused) == []


def test_events_are_held_in_order() -> None:
    late = streamed(CHUNKS[0], CHUNKS[2], CHUNKS[1], CHUNKS[3])
    assert found(STREAMED, streamed(*CHUNKS), late) == [(Kind.EVENTS, "")]
    assert found(STREAMED, streamed(*CHUNKS), streamed(*CHUNKS, end="")) == [(Kind.EVENTS, "")]
    with pytest.raises(ValueError, match="Expecting"):
        seen(STREAMED, 200, b"data: {half\n\n")


def test_what_a_cache_held_is_input_of_a_message() -> None:
    case = BY_TITLE["messages/plain/whole"]
    usage = {"input_tokens": 1, "cache_read_input_tokens": 32, "output_tokens": 4}
    message = {"content": [{"text": "Hi"}], "stop_reason": "end_turn", "usage": usage}
    told = seen(case, 200, json.dumps(message).encode())
    assert (told.input_tokens, told.output_tokens, told.finish) == (33, 4, "end_turn")


@pytest.mark.parametrize(
    ("title", "place", "published"),
    [
        ("chat/plain/whole", "choices[].message.tool_calls[].function.arguments", True),
        ("chat/plain/whole", "usage.cost", False),
        ("responses/plain/streamed", "response.completed: .response.usage.total_tokens", True),
        ("responses/plain/streamed", "response.completed: .timings", False),
        ("messages/plain/streamed", "message_start: .message.usage.service_tier", True),
        ("messages/plain/counted", "input_tokens_exact", False),
        ("responses/plain/whole", "metadata.anything", True),
    ],
)
def test_the_official_packages_say_what_is_published(
    title: str, place: str, published: bool
) -> None:
    assert is_published(BY_TITLE[title], place) is published


def test_errors_have_a_published_form_too() -> None:
    assert is_published(CHAT, "error.param", refused=True)
    assert not is_published(CHAT, "error.request_id", refused=True)


def test_an_unexplained_difference_has_no_reason() -> None:
    wrong = Difference(CHAT, Kind.INPUT, "5", "6")
    assert reason(LLAMA, wrong, REASONS) is None
    cost = Difference(CHAT, Kind.OURS, "object", "-", "usage.cost")
    assert "cost" in reason(LLAMA, cost, REASONS).why  # type: ignore[union-attr]
    only = Reason("x", (Kind.INPUT,), (VLLM,), wishes="plain", booth="5")
    assert reason(VLLM, wrong, (only,)) is only
    assert reason(LLAMA, wrong, (only,)) is None


def test_the_page_tells_what_agrees_and_what_has_no_reason() -> None:
    wrong = Difference(CHAT, Kind.INPUT, "5", "6")
    cost = Difference(CHAT, Kind.OURS, "object", "-", "usage.cost")
    run = compared(LLAMA, "xllamacpp 1", list(BY_TITLE.values()), (wrong, cost))
    written = page([run, Compared(VLLM, absent="no torch")], "2031-02-03")
    chats = sum(case.family is Family.CHAT for case in BY_TITLE.values())
    counts = [chats, chats, chats, chats, chats - 1, chats, chats]
    assert f"| chat | {' | '.join(map(str, counts))} |" in written
    assert "chat/plain/whole input tokens: 5 / 6 | **No reason is known.**" in written
    assert "Not run: no torch" in written
    assert run.unexplained() == [wrong]
    assert run.unused()
    assert Compared(VLLM, absent="no torch").unused() == []


def test_an_environment_that_cannot_be_made_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(command: Any, place: Path) -> str:
        raise OracleFault("No matching distribution found for torch")

    monkeypatch.setattr(servers, "_run", fails)
    with pytest.raises(OracleFault, match="torch"):
        servers.vllm_python(tmp_path)
    monkeypatch.setattr(servers, "_run", lambda command, place: "")
    assert servers.vllm_python(tmp_path) == tmp_path / "vllm" / "bin" / "python"
    monkeypatch.setattr(servers, "_run", fails)
    assert servers.vllm_python(tmp_path).parent.name == "bin"
