"""Writes ``docs/parameters.md`` from the parameters: ``python -m checks.parameters_page``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tokenbooth.protocols.anthropic_messages.parameters import PARAMETERS as MESSAGES
from tokenbooth.protocols.openai_chat.parameters import PARAMETERS as CHAT
from tokenbooth.protocols.openai_completions.parameters import PARAMETERS as COMPLETIONS
from tokenbooth.protocols.openai_embeddings.parameters import PARAMETERS as EMBEDDINGS
from tokenbooth.protocols.openai_responses.compaction import PARAMETERS as COMPACTION
from tokenbooth.protocols.openai_responses.parameters import PARAMETERS as RESPONSES
from tokenbooth.protocols.parameters import Parameter, Treatment

PAGE = Path(__file__).resolve().parent.parent / "docs" / "parameters.md"
HEAD = """\
# Parameters

Every documented parameter of each inference endpoint, and what becomes of it. What is translated or
ignored is named in the answer header `x-tokenbooth-notes`. A field that is not in these lists is
ignored with a note, never refused. A refused parameter answers `unsupported_feature` and names
`param`; so does an honoured one that the model's engine cannot do. `null` is the same as leaving a
parameter out, except for the required ones. An integer may be written as `2.0`; `true` is none.

This page is written by `python -m checks.parameters_page` and compared with the code by
`scripts/check`.
"""
CHAT_FOOT = """\
### Messages

`messages[].role` is `system`, `developer`, `user`, `assistant` or `tool`. `content` is a string or
a list of parts; an assistant message with `tool_calls` needs none. A user may send
[media](media.md) as well: `image_url`, `file`, `input_audio` and `video_url`. A former audio answer
is refused. The legacy role `function` and `function_call` are translated to `tool` and
`tool_calls`.

### Answers of a chat

Every choice ends with one `finish_reason`. Where the engine gave none it is `length` if the run was
cut short, else `tool_calls` if the choice called tools, else `stop`. Reasoning text comes as
`reasoning_content`. `usage` also holds the exact `cost` and what remains under each limit;
`usage.source` is `bound` where the engine did not count and the documented upper bound was charged.

### The form of an answer

`x-tokenbooth-structured` says how a schema was kept: `constrained` while the model wrote,
`validated` or `invalid` by a look at the whole answer, `repaired` by a second try that the held
money bore, `asked` where a stream was only asked for it. `x-tokenbooth-tool-arguments` is
`validated` or `invalid` where a whole answer calls tools that the engine was not held to. All three
endpoints send both.
"""
RESPONSES_FOOT = """\
### Items

Without a `type`, an object with a `role` is a message. Calls that stand side by side, and what the
assistant said before them, become one message of the assistant. Parts of type `text` are read as
`input_text`. [Media](media.md) stands in messages of the user and in outputs of tools:
`input_image`, `input_file`, `input_audio` and `input_video`. A reference stands for an item of a
stored response; one to reasoning that is not there is skipped with a note, one to anything else
that is not there is refused. Items, tools and choices of hosted tools, and those of types that are
not known here, are skipped with a note.

### Answers of a response

Every field of the published response is there, null where there is nothing to say. The answer gives
back what it was asked with; `tools` are those that the model could call. `store` is false where
nothing is kept, and `truncation` is `disabled`, whatever was sent. Reasoning is an item of its own,
with `reasoning_text`, or with `summary_text` where a summary was asked for. An item is `incomplete`
where the answer was cut inside it. How a stream is told is written in
[What an answer says](answers.md).
"""
MESSAGES_FOOT = """\
### Blocks

`content` is a string or a list of blocks. Results of tools become messages of their own, ahead of
what else the message says; [media](media.md) inside them follows in the message of the user.
Documents of text and search results become text. What an assistant thought is a hint to the engine,
`redacted_thinking` is ignored with a note, and so are blocks and tools of types that are not known
here. A block that does not belong into a message of its role is refused.

### Answers of a message

Blocks come one after another, also where an engine mixes the calls of several tools. `stop_reason`
is `tool_use` where tools are called, `max_tokens` where the answer was cut short, by money too,
`refusal` where the engine refused, `stop_sequence` where it tells which one it met, else
`end_turn`. A call whose arguments are no JSON object, because they were cut, has an empty `input`
and what there is of them in `partial_json`. Thinking is signed with the id of its call; the
signature is not checked. `usage` also holds the exact `cost` and what remains under each limit. How
a stream is told is written in [What an answer says](answers.md).
"""
COMPLETIONS_FOOT = """\
### Answers of a completion

A prompt is taken as it stands: no chat template is put around it, and control texts in it count as
such. The completions of several prompts follow one another, those of each prompt together, and
`usage` is that of all of them. Every completion ends with one `finish_reason`, `stop`, `length` or
`content_filter`. `text_offset` counts characters of the completion.
"""
EMBEDDINGS_FOOT = """\
### Answers of embeddings

Only input is charged. Scripted models make vectors that depend on the text alone and mean nothing.
"""
COMPACTION_FOOT = """\
### Answers of a compaction

`output` is every message of the user in its own words, and one item `compaction` that holds what
else must be known, sealed. It is written by the model, charged like any answer, and not stored.
`max_output_tokens` is not in the published API: it limits the summary.
"""
DIALECTS = (
    ("POST /v1/chat/completions", CHAT, CHAT_FOOT),
    ("POST /v1/completions", COMPLETIONS, COMPLETIONS_FOOT),
    ("POST /v1/embeddings", EMBEDDINGS, EMBEDDINGS_FOOT),
    ("POST /v1/responses", RESPONSES, RESPONSES_FOOT),
    ("POST /v1/responses/compact", COMPACTION, COMPACTION_FOOT),
    ("POST /v1/messages", MESSAGES, MESSAGES_FOOT),
)


def render() -> str:
    """For each endpoint one table for each treatment, in the order of the treatments."""
    return "\n".join([HEAD, *(_endpoint(*dialect) for dialect in DIALECTS)])


def _endpoint(name: str, rows: Sequence[Parameter], foot: str) -> str:
    sections = [_section(treatment, rows) for treatment in Treatment]
    return "\n".join([f"## `{name}`", "", *filter(None, sections), foot])


def _section(treatment: Treatment, rows: Sequence[Parameter]) -> str:
    """Empty where nothing is treated so."""
    told = [_row(row) for row in rows if row.treatment is treatment]
    if not told:
        return ""
    title = treatment.value[0].upper() + treatment.value[1:]
    return "\n".join([f"### {title}", "", "| Parameter | What is done |", "|---|---|", *told, ""])


def _row(row: Parameter) -> str:
    required = " Required." if row.required else ""
    return f"| `{row.name}` | {row.text}{required} |"


def main() -> int:
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
