"""A turn as a model reads it: through its own chat template, or in words of ours.

A template that knows tools and their calls in the form of ``grammar/answer.py`` gets them as they
are. For any other one they become part of the texts, in the same form, so that what a model has
called before looks like what it may call now.
"""

import json
from collections.abc import Iterator
from typing import Any

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Message, Role, TextPart, Tool, ToolCall, ToolMode, Turn
from tokenbooth.engines.child.frames import Words
from tokenbooth.engines.gguf.template import RAW, Traits
from tokenbooth.engines.grammar.answer import CALL_CLOSE, CALL_OPEN

_ROLES = {Role.DEVELOPER: Role.SYSTEM}
_BEFORE_TOOLS = (
    "You can call tools. Each line tells of one: its name, what it does, and the JSON schema of its"
    " arguments.\n<tools>\n"
)
_AFTER_TOOLS = (
    "\n</tools>\nTo call one, write its name and arguments like this:"
    f'\n{CALL_OPEN}\n{{"name": "<name>", "arguments": {{<arguments>}}}}\n{CALL_CLOSE}\n'
    "Its answer comes as <tool_response>."
)
_LOW, _MEDIUM, _HIGH = "low", "medium", "high"
_LEVELS = {
    "none": _LOW, "minimal": _LOW, "low": _LOW, "medium": _MEDIUM, "high": _HIGH,
    "xhigh": _HIGH, "max": _HIGH,
}  # fmt: skip
UNTHINKING = ("none", "minimal")
# Stands in a text for an image. No body of a caller can hold it, but what a model said can.
IMAGE_MARK = "\0"


def words_of(turn: Turn) -> Words:
    """(role, text) pairs; a developer speaks as the system, since templates know no developer, and
    a raw prompt stands alone without a role.

    Raises Problem INVALID_VALUE for text that UTF-8 cannot hold.
    """
    if turn.raw:
        return tuple((RAW, _checked(message.text)) for message in turn.messages)
    words = list(_texts(turn.messages))
    tools = shown_tools(turn)
    if tools:
        lines = "\n".join(_json(described(tool)) for tool in tools)
        told = f"{_BEFORE_TOOLS}{lines}{_AFTER_TOOLS}"
        if words and words[0][0] == Role.SYSTEM.value:
            words[0] = (words[0][0], f"{words[0][1]}\n\n{told}".lstrip())
        else:
            words.insert(0, (Role.SYSTEM.value, told))
    for _, text in words:
        _checked(text)
    return tuple(words)


def template_json(turn: Turn, traits: Traits) -> str:
    """``messages``, ``tools`` and ``variables`` for the model's own template, as JSON; ``""``
    where texts say it all. Raises Problem as ``words_of`` does."""
    variables: dict[str, object] = {}
    effort = turn.reasoning_effort
    if effort is not None and traits.switch:
        variables["enable_thinking"] = effort not in UNTHINKING
    if effort is not None and traits.levels:
        variables["reasoning_effort"] = _LEVELS.get(effort, _MEDIUM)
    tools = shown_tools(turn) if traits.tools else ()
    called = traits.tools and any(m.tool_calls or m.role is Role.TOOL for m in turn.messages)
    thought = traits.thinks and any(m.reasoning for m in turn.messages)
    if not (variables or tools or called or thought):
        return ""
    if traits.tools:
        messages = [_message(message) for message in turn.messages]
    else:
        messages = [{"role": role, "content": text} for role, text in words_of(turn)]
    asked = {
        "messages": messages,
        "tools": [described(tool) for tool in tools],
        "variables": variables,
    }
    return _checked(_json(asked))


def shown_tools(turn: Turn) -> tuple[Tool, ...]:
    """The tools that a model is told of: none where it may call none."""
    return () if turn.tool_choice.mode is ToolMode.NONE else turn.tools


def described(tool: Tool) -> dict[str, Any]:
    """A tool as chat templates read it."""
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = _read(tool.schema_json, {"type": "object", "properties": {}})
    return {"type": "function", "function": function}


def _texts(messages: tuple[Message, ...]) -> Iterator[tuple[str, str]]:
    """Answers of tools that follow one another become one text of the user."""
    answers: list[str] = []
    for message in messages:
        said = _said(message)
        if message.role is Role.TOOL:
            answers.append(f"<tool_response>\n{said}\n</tool_response>")
            continue
        if answers:
            yield Role.USER.value, "\n".join(answers)
            answers = []
        parts = [said] if said or not message.tool_calls else []
        parts += [_call(call) for call in message.tool_calls]
        yield _ROLES.get(message.role, message.role).value, "\n".join(parts)
    if answers:
        yield Role.USER.value, "\n".join(answers)


def _said(message: Message) -> str:
    """The text, with a mark where an image stands and nowhere else."""
    return "".join(
        part.text.replace(IMAGE_MARK, "") if isinstance(part, TextPart) else IMAGE_MARK
        for part in message.parts
    )


def _call(call: ToolCall) -> str:
    read = isinstance(_arguments(call), dict)
    arguments = call.arguments if read else _json(call.arguments)
    return f'{CALL_OPEN}\n{{"name": {_json(call.name)}, "arguments": {arguments}}}\n{CALL_CLOSE}'


def _arguments(call: ToolCall) -> Any:
    """The object, or the text as it is where it is none."""
    found = _read(call.arguments, None)
    return found if isinstance(found, dict) else call.arguments


def _message(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "role": _ROLES.get(message.role, message.role).value,
        "content": _said(message),
    }
    if message.reasoning:
        fields["reasoning_content"] = message.reasoning
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        fields["name"] = message.name
    if message.tool_calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call)},
            }
            for call in message.tool_calls
        ]
    return fields


def _read(text: str, otherwise: Any) -> Any:
    try:
        found = json.loads(text)
        # What can be read may still be too deep to be written.
        _json(found)
    except (ValueError, RecursionError):
        return otherwise
    return found


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _checked(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Problem(
            Code.INVALID_VALUE, "A message holds half of a surrogate pair.", param="messages"
        ) from error
    return text
