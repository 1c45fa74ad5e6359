"""Turn -> the body of an OpenAI chat call, always streamed and with usage."""

from typing import Any

import msgspec

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import (
    AudioPart,
    FormatKind,
    ImagePart,
    Message,
    OutputFormat,
    Part,
    Role,
    TextPart,
    Tool,
    ToolChoice,
    ToolMode,
    Turn,
)
from tokenbooth.engines.upstream.values import EndCustomerField, UpstreamOptions

AUDIO_FORMATS = {"data:audio/wav;base64": "wav", "data:audio/mpeg;base64": "mp3"}
# These belong to us; a hint may not replace them.
OWN_FIELDS = frozenset({"model", "messages", "stream", "stream_options", "n", "user", "tools"})


def chat_body(turn: Turn, options: UpstreamOptions) -> bytes:
    """The JSON body. Raises Problem INVALID_VALUE for text or schemas that JSON cannot carry."""
    fields = _sampling(turn)
    if turn.tools or turn.output_format.kind is not FormatKind.TEXT:
        fields |= _structure(turn)
    fields |= _caller(turn, options)
    body = {
        "model": options.model,
        "messages": [_message(m, options) for m in turn.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **{name: value for name, value in fields.items() if value is not None},
    }
    return encoded(body)


def completion_body(turn: Turn, options: UpstreamOptions) -> bytes:
    """The JSON body for one raw prompt. Raises Problem INVALID_VALUE."""
    fields = _sampling(turn) | _caller(turn, options)
    # This older API has no other name for the output limit.
    for name in ("top_logprobs", "reasoning_effort", options.output_limit_field.value):
        fields.pop(name, None)
    fields["max_tokens"] = turn.output_tokens_max
    fields["logprobs"] = turn.logprobs.top if turn.logprobs else None
    fields["suffix"] = turn.suffix
    body = {
        "model": options.model,
        "prompt": turn.messages[0].text,
        "stream": True,
        "stream_options": {"include_usage": True},
        **{name: value for name, value in fields.items() if value is not None},
    }
    return encoded(body)


def encoded(body: dict[str, Any]) -> bytes:
    """Raises Problem INVALID_VALUE for lone surrogates, which UTF-8 cannot carry."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as error:
        raise Problem(
            Code.INVALID_VALUE, "The text holds half of a surrogate pair.", param="messages"
        ) from error


def _sampling(turn: Turn) -> dict[str, Any]:
    sampling = turn.sampling
    fields: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    if turn.plain:
        return fields
    return fields | {
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "logit_bias": {str(piece): bias for piece, bias in sampling.logit_bias} or None,
        "n": turn.choices if turn.choices > 1 else None,
        "logprobs": True if turn.logprobs else None,
        "top_logprobs": turn.logprobs.top or None if turn.logprobs else None,
        "reasoning_effort": turn.reasoning_effort,
    }


def _structure(turn: Turn) -> dict[str, Any]:
    return {
        "response_format": _response_format(turn.output_format),
        "tools": [_tool(tool) for tool in turn.tools] or None,
        "tool_choice": _tool_choice(turn.tool_choice) if turn.tools else None,
        "parallel_tool_calls": turn.parallel_tool_calls if turn.tools else None,
    }


def _caller(turn: Turn, options: UpstreamOptions) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: text
        for name, text in turn.hints.items()
        if name in options.hints and name not in OWN_FIELDS
    }
    fields[options.output_limit_field.value] = turn.output_tokens_max
    if options.end_customer_field is not EndCustomerField.NONE:
        fields[options.end_customer_field.value] = turn.end_customer
    return fields


def _message(message: Message, options: UpstreamOptions) -> dict[str, Any]:
    role = message.role
    if role is Role.DEVELOPER and not options.developer_role:
        role = Role.SYSTEM
    fields: dict[str, Any] = {"role": role, "content": _content(message.parts)}
    if message.name is not None:
        fields["name"] = message.name
    if message.reasoning and options.reasoning_back:
        fields["reasoning_content"] = message.reasoning
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
        fields["content"] = fields["content"] or None
    return fields


def _content(parts: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    """Plain text where it is: not every server reads a list of parts."""
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return parts[0].text
    return [_part(part) for part in parts]


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return {"type": "image_url", "image_url": {"url": part.url}}
        case AudioPart():
            head, _, body = part.url.partition(",")
            form = AUDIO_FORMATS[head]
            return {"type": "input_audio", "input_audio": {"data": body, "format": form}}
    raise Problem(Code.UNSUPPORTED_FEATURE, "Such media was not taken in.", param=part.param)


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema_json:
        function["parameters"] = _schema(tool.schema_json, "tools")
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> str | dict[str, Any]:
    if choice.mode is ToolMode.NAMED:
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode.value


def _response_format(output: OutputFormat) -> dict[str, Any] | None:
    match output.kind:
        case FormatKind.TEXT:
            return None
        case FormatKind.JSON_OBJECT:
            return {"type": "json_object"}
    schema: dict[str, Any] = {
        "name": output.name or "answer",
        "schema": _schema(output.schema_json or "{}", "response_format"),
    }
    if output.strict:
        schema["strict"] = True
    return {"type": "json_schema", "json_schema": schema}


def _schema(text: str, param: str) -> msgspec.Raw:
    """The schema as the caller wrote it, after a proof that it is one JSON value."""
    try:
        raw = text.encode()
        msgspec.json.decode(raw)
    except (UnicodeEncodeError, msgspec.DecodeError, RecursionError) as error:
        raise Problem(Code.INVALID_VALUE, "The JSON schema is not JSON.", param=param) from error
    return msgspec.Raw(raw)
