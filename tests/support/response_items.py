"""What the tests of Responses say, and the items that it becomes."""

from typing import Any

from tests.support.responses import Json
from tokenbooth.core.delta import Delta, FinishReason, ToolCallDelta

STOP = Delta(finish=FinishReason.STOP)
CALLS_TOOLS = Delta(finish=FinishReason.TOOL_CALLS)
FUNCTIONS = [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}]
CUSTOM = [{"type": "custom", "name": "p"}]


def call(
    index: int, arguments: str = "", call_id: str | None = None, name: str | None = None
) -> Delta:
    return Delta(tool_call=ToolCallDelta(index, arguments, call_id, name))


def told(found: list[Json]) -> list[tuple[Any, ...]]:
    """Each event between the first two and the last: its kind, its places and what it says."""
    lines = []
    for event in found[2:-1]:
        kind = event["type"].removeprefix("response.")
        places = [event["output_index"]]
        places += [event[name] for name in ("content_index", "summary_index") if name in event]
        names = ("delta", "text", "refusal", "arguments", "input")
        said = [event[name] for name in names if name in event]
        if "item" in event:
            said = [event["item"]["type"], event["item"]["status"]]
        if "part" in event:
            part = event["part"]
            said = [part["type"], part.get("text", part.get("refusal"))]
        lines.append((kind, *places, *said))
    return lines


def output_of(body: Json) -> list[Json]:
    """The items without what the order of the events shows already."""
    items: list[Json] = body["output"]
    return [{name: item[name] for name in item if name != "id"} for item in items]


def message(content: list[Json], status: str = "completed") -> Json:
    return {
        "type": "message",
        "status": status,
        "role": "assistant",
        "phase": None,
        "content": content,
    }


def text(said: str) -> Json:
    return {"type": "output_text", "text": said, "annotations": [], "logprobs": []}


def reasoning(said: str, *, summary: bool = False) -> Json:
    return {
        "type": "reasoning",
        "status": "completed",
        "summary": [{"type": "summary_text", "text": said}] if summary else [],
        "content": [] if summary else [{"type": "reasoning_text", "text": said}],
        "encrypted_content": None,
    }


def function(name: str, call_id: str, arguments: str, status: str = "completed") -> Json:
    return {
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }
