"""Responses over a WebSocket: messages of the client, and events as they are there.

``stream`` and ``background`` are of the transport, and not used here; ``stream_id`` names a stream
of the socket, and stands in each of its events.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Answer, Note, Parsed
from tokenbooth.protocols.openai_responses import OpenAiResponses
from tokenbooth.protocols.openai_responses.parse import parse_object
from tokenbooth.protocols.strict_json import quoted, read_object
from tokenbooth.protocols.wire_json import encode

CREATE = "response.create"
STEER = "response.steer"
_STREAM_ID = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_TRANSPORT = MappingProxyType({"stream": True, "background": False})
_UNUSED = "ignored: not used over a WebSocket"
_FAILED = b'{"type":"response.failed"'
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """What a client said; ``fields`` are without its type and stream."""

    type: str
    stream_id: str | None
    fields: Mapping[str, object] = field(repr=False)

    @property
    def previous_id(self) -> str | None:
        said = self.fields.get("previous_response_id")
        return said if isinstance(said, str) else None

    @property
    def generates(self) -> bool:
        """False where only the state is to be prepared. Raises WRONG_TYPE."""
        options = self.fields.get("prompt_cache_options")
        warms = isinstance(options, Mapping) and options.get("prewarm") is True
        said = self.fields.get("generate", True)
        if said is not None and not isinstance(said, bool):
            raise Problem(Code.WRONG_TYPE, "generate must be a boolean.", param="generate")
        return said is not False and not warms


class MessageDialect(OpenAiResponses):
    """The dialect of one message, whose body was read with its envelope."""

    def __init__(self, message: Message) -> None:
        self._message = message

    def parse(self, raw: bytes) -> Parsed:
        fields = {name: said for name, said in self._message.fields.items() if name != "generate"}
        unused = tuple(
            Note(name, _UNUSED)
            for name, usual in _TRANSPORT.items()
            if fields.pop(name, None) not in (None, usual)
        )
        parsed = parse_object({**fields, "stream": True})
        return replace(parsed, notes=(*parsed.notes, *unused))


def read_message(raw: bytes) -> Message:
    """Raises MALFORMED_JSON, MISSING_FIELD, INVALID_VALUE and STREAM_ID_INVALID."""
    document = read_object(raw)
    kind, stream_id = document.pop("type", None), document.pop("stream_id", None)
    if kind is None:
        raise Problem(Code.MISSING_FIELD, "type is missing.", param="type")
    if kind not in (CREATE, STEER):
        said = quoted(kind) if isinstance(kind, str) else "no text"
        raise Problem(Code.INVALID_VALUE, f"type is {said}, and must be {CREATE}.", param="type")
    if stream_id is not None and not _names_stream(stream_id):
        public = "stream_id must be 1 to 256 letters, digits, _, - and ."
        raise Problem(Code.STREAM_ID_INVALID, public, param="stream_id")
    return Message(str(kind), None if stream_id is None else str(stream_id), document)


def event_end(stream_id: str | None) -> bytes:
    """With what each event of a stream ends."""
    return b"}" if stream_id is None else b',"stream_id":"%b"}' % stream_id.encode()


def events_of(chunk: bytes, end: bytes, headers: Iterable[tuple[str, str]] = ()) -> list[bytes]:
    """The JSON of each server-sent event of ``chunk``, which holds whole ones; its comments are
    left out. ``headers`` go with the first: over HTTP they came before it."""
    events = []
    first = b',"headers":' + encode(dict(headers)) if headers else b""
    for block in chunk.split(b"\n\n"):
        _, _, event = block.partition(b"\ndata: ")
        if event:
            events.append(event[:-1] + first + end)
            first = b""
    return events


def is_failure(event: bytes) -> bool:
    """Whether a response ends badly with it."""
    return event.startswith(_FAILED)


def error_event(answer: Answer, stream_id: str | None) -> bytes:
    """A refusal as an event; what it goes on from is named as over the published socket."""
    error: Json = json.loads(answer.body)["error"]
    status = answer.status
    if error["code"] == Code.PREVIOUS_RESPONSE_NOT_FOUND.text:
        status, error["type"] = 400, "invalid_request_error"
    headers = {name: said for name, said in answer.headers if name != "content-type"}
    if headers:
        error["headers"] = headers
    return encode({"type": "error", "status": status, "error": error, **_named(stream_id)})


def steer_refused(message: Message, stream_id: str | None) -> bytes:
    """The published answer to what cannot be steered; the input goes back."""
    said = {name: message.fields.get(name) for name in ("previous_response_id", "input")}
    error = {
        "type": "invalid_request_error",
        "code": "steering_not_supported",
        "message": "Running responses are not steered here; send response.create when it is over.",
    }
    failed = {"type": f"{STEER}.failed", "sequence_number": 0, "error": error, "steer": said}
    return encode({**failed, **_named(stream_id)})


def _named(stream_id: str | None) -> Json:
    return {} if stream_id is None else {"stream_id": stream_id}


def _names_stream(said: object) -> bool:
    return isinstance(said, str) and _STREAM_ID.fullmatch(said) is not None
