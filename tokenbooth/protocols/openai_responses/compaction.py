"""``POST /v1/responses/compact``: a conversation becomes what its users said, and a sealed summary.

The model itself writes the summary: a paid call, with one more message at its end that asks for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tokenbooth.core.delta import Delta, RunEnd
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.core.turn import AudioPart, MediaPart, Message, Part, Role, Turn
from tokenbooth.protocols.dialect import Answer, AnswerFrame, Dialect, Parsed, Writer
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.openai_responses.body import core_id, response_id, usage_json
from tokenbooth.protocols.openai_responses.items import COMPACTION, messages_of
from tokenbooth.protocols.openai_responses.memory import instructed, memory_of
from tokenbooth.protocols.openai_responses.parameters import PARAMETERS as OF_RESPONSES
from tokenbooth.protocols.openai_responses.parameters import SERVICE_TIERS
from tokenbooth.protocols.openai_responses.renamed import renamed
from tokenbooth.protocols.parameters import Parameter, Treatment
from tokenbooth.protocols.problems import error_body
from tokenbooth.protocols.shape import Field, Record, Refused, Strangers, missing
from tokenbooth.protocols.strict_json import read_object
from tokenbooth.protocols.wire_json import encode

ASK = (
    "Write down what must be known to go on with this conversation without its earlier messages: "
    "what is wanted, what was decided and why, what was done and found, names, numbers and places "
    "as they stand there, and what is left to do. Write nothing else."
)
_TAKEN = (
    *("model", "instructions", "previous_response_id", "prompt_cache_key", "service_tier"),
    *("max_output_tokens", "prompt_cache_retention", "prompt_cache_options", "image"),
)
_ROWS = {row.name: row for row in OF_RESPONSES}
PARAMETERS: tuple[Parameter, ...] = (
    replace(_ROWS["input"], required=False),
    *(_ROWS[name] for name in _TAKEN),
    Parameter(
        "stream", Treatment.REFUSED, Refused("a compaction is told as one body"), "One body."
    ),
)
BODY = Record({row.name: Field(row.shape, row.required, row.text) for row in PARAMETERS})
_NOTED = tuple(row for row in PARAMETERS if row.treatment is Treatment.IGNORED)
Json = dict[str, Any]


class OpenAiCompaction:
    """What is compacted is read as a response's input is; only its answer is another."""

    name = "openai_compaction"
    output_limit_param = "max_output_tokens"

    def parse(self, raw: bytes) -> Parsed:
        """Raises what parsing a response raises."""
        strangers = Strangers()
        fields = BODY.read(read_object(raw), "", strangers)
        notes = Notes()
        for row in _NOTED:
            if row.name in fields:
                notes.add(row.name, row.note)
        memory = memory_of({**fields, "input": _asking(fields), "store": False})
        memory = replace(memory, seals=True)
        instructions = fields.get("instructions")
        messages: tuple[Message, ...] = ()
        if not memory.recalls:
            messages = instructed(instructions, messages_of([*map(dict, memory.items)], notes))
        key = fields.get("prompt_cache_key")
        turn = Turn(
            model=fields["model"],
            messages=messages,
            output_tokens_max=fields.get("max_output_tokens"),
            service_tier=SERVICE_TIERS[fields.get("service_tier", "auto")],
            hints={} if key is None else {"prompt_cache_key": key},
        )
        echo = {"instructions": instructions}
        told = notes.finished(strangers)
        return Parsed(turn, stream=False, include_usage=False, notes=told, echo=echo, memory=memory)

    def param_of(self, feature: Feature) -> str:
        return OPENAI_RESPONSES.param_of(feature)

    def writer(self, parsed: Parsed, frame: AnswerFrame) -> Writer:
        return CompactionWriter(parsed, frame)

    def refusal(self, problem: Problem, request_id: str) -> Answer:
        return OPENAI_RESPONSES.refusal(problem, request_id)


def _asking(fields: Json) -> Sequence[Json]:
    """The input as items, and the message that asks for the summary. Raises MISSING_FIELD."""
    said = fields.get("input", ())
    if not said and "previous_response_id" not in fields:
        missing("input")
    items = [_message(said)] if isinstance(said, str) else said
    return (*items, _message(ASK))


def _message(text: str) -> Json:
    return {"type": "message", "role": "user", "content": text}


class CompactionWriter:
    """One body, when the summary is whole."""

    content_type = "application/json"

    def __init__(self, parsed: Parsed, frame: AnswerFrame) -> None:
        self._parsed = parsed
        self._frame = frame
        self._summary: list[str] = []
        self._ended = False

    def delta(self, delta: Delta) -> bytes:
        if not self._ended:
            self._summary.append(delta.text)
        return b""

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        document: Json = {
            "id": response_id(self._frame.request_id),
            "object": "response.compaction",
            "created_at": self._frame.created_s,
            "model": self._frame.model,
            "output": [*self._said(), self._compaction()],
            "usage": usage_json(end, receipt),
            "image": None,
        }
        if receipt is not None and receipt.outcome is Outcome.CAP_REACHED:
            document["stopped"] = Outcome.CAP_REACHED.value
        return encode(document)

    def problem(self, problem: Problem) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return error_body(renamed(problem), self._frame.request_id)

    def heartbeat(self) -> bytes:
        return b""

    def _said(self) -> list[Mapping[str, Any]]:
        """What the users said, in its words; the last of it asks for the summary."""
        users = [m for m in self._parsed.turn.messages if m.role is Role.USER][:-1]
        return [
            {
                "id": f"msg_{core_id(self._frame)}_{place}",
                "type": "message",
                "status": "completed",
                "role": "user",
                "content": [_part(part) for part in message.parts],
            }
            for place, message in enumerate(users)
        ]

    def _compaction(self) -> Mapping[str, Any]:
        memory = self._parsed.memory
        seal = None if memory is None else memory.seal
        assert seal is not None, "the gateway gives the seal"
        return {
            "id": f"cmp_{core_id(self._frame)}_0",
            "type": COMPACTION,
            "encrypted_content": seal("".join(self._summary)),
            "created_by": None,
        }


def _part(part: Part) -> Mapping[str, Any]:
    if isinstance(part, AudioPart):
        kind, _, body = part.url.partition(",")
        sound = {"data": body, "format": "wav" if kind.startswith("data:audio/wav") else "mp3"}
        return {"type": "input_audio", "input_audio": sound}
    if isinstance(part, MediaPart):
        return {"type": "input_image", "image_url": part.url, "detail": "auto"}
    return {"type": "input_text", "text": part.text}


OPENAI_COMPACTION: Dialect = OpenAiCompaction()
