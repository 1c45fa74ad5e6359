"""What one caller got of a stream, in any dialect, read by someone who believes nothing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.support import messages_stream, responses

Json = dict[str, Any]
Lanes = dict[str, str]
CUSTOM_INPUT = "custom_tool_call_input"


class Close(StrEnum):
    """How it ended: well, by an error inside, by an error instead of a stream, or not at all."""

    WELL = "well"
    FAILED = "failed"
    REFUSED = "refused"
    OPEN = "open"


@dataclass
class View:
    """``lanes`` holds what was said, by the place it was said in; ``error`` is the error's body."""

    close: Close
    lanes: Lanes = field(default_factory=dict)
    error: Json = field(default_factory=dict)

    def begins(self, whole: "View") -> bool:
        """Whether all that was said is the beginning of what ``whole`` says."""
        return all(whole.lanes.get(name, "").startswith(said) for name, said in self.lanes.items())


def view(dialect: str, content_type: str, body: bytes, *, left: bool = False) -> View:
    """Raises AssertionError for anything that is no stream, or ends twice, or does not end; where
    the caller ``left``, what it has may stop anywhere."""
    if not content_type.startswith("text/event-stream"):
        return View(Close.REFUSED, error=json.loads(body)["error"])
    kept = body[: body.rfind(b"\n\n") + 2] if left and b"\n\n" in body else b"" if left else body
    found = _READERS[dialect](list(_events(kept)))
    assert left or found.close is not Close.OPEN, "not ended"
    return found


def _events(body: bytes) -> Iterator[Any]:
    assert not body or body.endswith(b"\n\n")
    for block in body.split(b"\n\n")[:-1]:
        lines = [line for line in block.split(b"\n") if not line.startswith((b":", b"event: "))]
        if lines:
            (line,) = lines
            raw = line.removeprefix(b"data: ")
            assert raw != line
            yield "[DONE]" if raw == b"[DONE]" else json.loads(raw)


def _chat(events: list[Any]) -> View:
    found = View(Close.OPEN)
    finishes: dict[int, str] = {}
    for event in events:
        assert found.close is Close.OPEN, "nothing follows the terminal event"
        if event == "[DONE]":
            found.close = Close.WELL
        elif "error" in event:
            found.close, found.error = Close.FAILED, event["error"]
        else:
            for choice in event["choices"]:
                assert choice["index"] not in finishes, "nothing follows the finish"
                _gather_choice(found.lanes, choice)
                if choice["finish_reason"] is not None:
                    finishes[choice["index"]] = choice["finish_reason"]
    assert found.close is not Close.WELL or finishes
    return found


def _gather_choice(lanes: Lanes, choice: Json) -> None:
    index, delta = choice["index"], choice["delta"]
    for name in ("content", "reasoning_content", "refusal"):
        if delta.get(name):
            _add(lanes, f"{index}.{name}", delta[name])
    for piece in delta.get("tool_calls", ()):
        _add(lanes, f"{index}.call.{piece['index']}", piece["function"].get("arguments", ""))


def _responses(events: list[Any]) -> View:
    folder, lanes, close, error = responses.Folder(), Lanes(), Close.OPEN, Json()
    for event in events:
        folder.take(event)
        if event["type"].endswith(".delta"):
            _add(lanes, f"{event['output_index']}.{event['type']}", event["delta"])
        if event["type"] in responses.TERMINAL:
            failed = event["type"] == "response.failed"
            close = Close.FAILED if failed else Close.WELL
            error = event["response"]["error"] or {}
    if close is Close.FAILED:
        # The input of a custom tool is read out of its arguments, which are given raw where cut.
        lanes = {name: said for name, said in lanes.items() if CUSTOM_INPUT not in name}
    return View(close, lanes, error)


def _messages(events: list[Any]) -> View:
    folder, lanes, close = messages_stream.Folder(), Lanes(), Close.OPEN
    for event in events:
        folder.take(event)
        if event["type"] == "content_block_delta":
            piece = event["delta"]
            if piece["type"] != "signature_delta":
                said = piece.get("text") or piece.get("thinking") or piece.get("partial_json") or ""
                _add(lanes, f"{event['index']}", said)
        if event["type"] in messages_stream.TERMINAL:
            close = Close.FAILED if event["type"] == "error" else Close.WELL
    return View(close, lanes, (folder.error or {}).get("error", {}))


def _add(lanes: Lanes, name: str, said: str) -> None:
    lanes[name] = lanes.get(name, "") + said


_READERS: dict[str, Callable[[list[Any]], View]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic_messages": _messages,
}
