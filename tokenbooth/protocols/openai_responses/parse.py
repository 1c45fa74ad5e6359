"""A Responses body to a Turn, with a note for everything not honoured as sent."""

import json
from collections.abc import Mapping, Sequence

from tokenbooth.core.turn import (
    FormatKind,
    LogprobsAsk,
    Message,
    OutputFormat,
    Sampling,
    Turn,
)
from tokenbooth.protocols.dialect import Memory, Parsed
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.openai_responses.items import messages_of
from tokenbooth.protocols.openai_responses.memory import REASONING_INCLUDED, instructed, memory_of
from tokenbooth.protocols.openai_responses.parameters import (
    BODY,
    END_CUSTOMER_CHARS_MAX,
    LOGPROBS_INCLUDED,
    PARAMETERS,
    SERVICE_TIERS,
)
from tokenbooth.protocols.openai_responses.tools import choice_of, tools_of
from tokenbooth.protocols.parameters import Treatment
from tokenbooth.protocols.shape import Json, Strangers, bad_value
from tokenbooth.protocols.strict_json import read_object

_NOTED = tuple(row for row in PARAMETERS if row.treatment is Treatment.IGNORED)
_REPEATED = (
    "background",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "safety_identifier",
    "store",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)


def parse(raw: bytes) -> Parsed:
    """Raises MALFORMED_JSON, and what ``parse_object`` raises."""
    return parse_object(read_object(raw))


def parse_object(document: Mapping[str, object]) -> Parsed:
    """The messages of a question that refers to what was stored are left for ``completed``.

    Raises Problem MISSING_FIELD, WRONG_TYPE, INVALID_VALUE or UNSUPPORTED_FEATURE,
    naming ``param``.
    """
    strangers = Strangers()
    fields = BODY.read(document, "", strangers)
    notes = Notes()
    for row in _NOTED:
        if row.name in fields and fields[row.name] is not False:
            notes.add(row.name, row.note)
    if fields.get("truncation") == "auto":
        notes.add("truncation", "ignored: an input that is too long is refused")
    if fields.get("stream_options", {}).get("include_obfuscation"):
        notes.add("stream_options.include_obfuscation", "ignored: nothing is obfuscated")
    text = fields.get("text", {})
    if "verbosity" in text:
        notes.add("text.verbosity", "a hint; the engine may ignore it")
    described, given_back = tools_of(fields, notes)
    tools, tool_choice, chosen = choice_of(described, fields.get("tool_choice", "auto"), notes)
    memory = memory_of(fields)
    turn = Turn(
        model=fields["model"],
        messages=_messages(fields, memory, notes),
        output_tokens_max=fields.get("max_output_tokens"),
        sampling=Sampling(temperature=fields.get("temperature"), top_p=fields.get("top_p")),
        logprobs=_logprobs(fields, notes),
        output_format=_output_format(text.get("format"), notes),
        tools=tuple(tool for tool, _ in tools.values()),
        tool_choice=tool_choice,
        parallel_tool_calls=fields.get("parallel_tool_calls"),
        reasoning_effort=fields.get("reasoning", {}).get("effort"),
        end_customer=_end_customer(fields, notes),
        service_tier=SERVICE_TIERS[fields.get("service_tier", "auto")],
        hints=_hints(fields, text),
    )
    echo = {
        **{name: fields[name] for name in _REPEATED if name in fields},
        "reasoning": _reasoning(fields.get("reasoning", {}), notes),
        "text": _text(text),
        "tool_choice": chosen,
        "tools": given_back,
    }
    if memory.background and not memory.store:
        bad_value("background", "needs store: true, because the response is read later")
    stream = memory.streams or memory.background
    return Parsed(turn, stream, stream, notes.finished(strangers), echo=echo, memory=memory)


def _messages(fields: Json, memory: Memory, notes: Notes) -> tuple[Message, ...]:
    if memory.recalls:
        return ()
    return instructed(fields.get("instructions"), messages_of(fields["input"], notes))


def _logprobs(fields: Json, notes: Notes) -> LogprobsAsk | None:
    included: Sequence[str] = fields.get("include", ())
    for name in included:
        if name not in (LOGPROBS_INCLUDED, REASONING_INCLUDED):
            notes.add(f"include={name}", "ignored: there is none here")
    top = fields.get("top_logprobs", 0)
    return LogprobsAsk(top) if top or LOGPROBS_INCLUDED in included else None


def _output_format(wanted: Json | None, notes: Notes) -> OutputFormat:
    if wanted is None:
        return OutputFormat()
    kind = FormatKind(wanted["type"])
    if kind is not FormatKind.JSON_SCHEMA:
        return OutputFormat(kind)
    if "description" in wanted:
        notes.add("text.format.description", "ignored: engines take none")
    return OutputFormat(kind, wanted["name"], wanted["schema"], wanted.get("strict", False))


def _hints(fields: Json, text: Json) -> dict[str, str]:
    said = {"verbosity": text.get("verbosity"), "prompt_cache_key": fields.get("prompt_cache_key")}
    return {name: value for name, value in said.items() if value is not None}


def _end_customer(fields: Json, notes: Notes) -> str | None:
    said: dict[str, str | None] = {
        "safety_identifier": fields.get("safety_identifier"),
        "user": fields.get("user"),
        "metadata.user_id": fields.get("metadata", {}).get("user_id"),
    }
    winner = next((name for name, value in said.items() if value), None)
    if winner is None:
        return None
    for name, value in said.items():
        if value and value != said[winner]:
            notes.add(name, f"ignored: {winner} wins")
    found = said[winner]
    if found is not None and len(found) > END_CUSTOMER_CHARS_MAX:
        bad_value(winner, f"has {len(found)} characters; the most is {END_CUSTOMER_CHARS_MAX}")
    return found


def _reasoning(asked: Json, notes: Notes) -> Json:
    """What the answer says of its reasoning; a summary is the reasoning itself."""
    for name in ("context", "mode"):
        if name in asked:
            notes.add(f"reasoning.{name}", "ignored: the engine decides")
    summary = asked.get("summary")
    if "generate_summary" in asked:
        notes.add("reasoning.generate_summary", "translated to summary")
        summary = summary or asked["generate_summary"]
    if summary is not None:
        notes.add("reasoning.summary", "translated: the reasoning comes unabridged")
    return {"effort": asked.get("effort"), "summary": summary}


def _text(asked: Json) -> Json:
    wanted = asked.get("format", {"type": FormatKind.TEXT.value})
    form: Json = {"type": wanted["type"]}
    if wanted["type"] == FormatKind.JSON_SCHEMA:
        form |= {
            "name": wanted["name"],
            "description": wanted.get("description"),
            "schema": json.loads(wanted["schema"]),
            "strict": wanted.get("strict", False),
        }
    return {"format": form, "verbosity": asked.get("verbosity")}
