"""Writes ``docs/parameters.md`` from the parameters: ``python -m checks.parameters_page``."""

import sys
from pathlib import Path

from tokenbooth.protocols.openai_chat.parameters import PARAMETERS
from tokenbooth.protocols.parameters import Parameter, Treatment

PAGE = Path(__file__).resolve().parent.parent / "docs" / "parameters.md"
HEAD = """\
# Parameters of `POST /v1/chat/completions`

Every documented parameter of the OpenAI API, and what becomes of it. What is translated or ignored
is named in the answer header `x-tokenbooth-notes`. A field that is not in this list is ignored with
a note, never refused. A refused parameter answers `unsupported_feature` and names `param`; so does
an honoured one that the model's engine cannot do. `null` is the same as leaving a parameter out,
except for the two required ones. An integer may be written as `2.0`; `true` is none.

This page is written by `python -m checks.parameters_page` and compared with the code by
`scripts/check`.
"""
FOOT = """\
## Messages

`messages[].role` is `system`, `developer`, `user`, `assistant` or `tool`. `content` is a string or
a list of parts; an assistant message with `tool_calls` needs none. Images are `https:` or
`data:image/` addresses. `input_audio` and `file` parts, custom tools and a former audio answer are
refused. The legacy role `function` and `function_call` are translated to `tool` and `tool_calls`.

## Answers

Every choice ends with one `finish_reason`. Where the engine gave none it is `length` if the run was
cut short, else `tool_calls` if the choice called tools, else `stop`. Reasoning text comes as
`reasoning_content`. `usage` also holds the exact `cost` and what remains under each limit;
`usage.source` is `bound` where the engine did not count and the documented upper bound was charged.
"""


def render() -> str:
    """One table for each treatment, in the order of the treatments."""
    return "\n".join([HEAD, *map(_section, Treatment), FOOT])


def _section(treatment: Treatment) -> str:
    head = ["| Parameter | What is done |", "|---|---|"]
    rows = [_row(row) for row in PARAMETERS if row.treatment is treatment]
    title = treatment.value[0].upper() + treatment.value[1:]
    return "\n".join([f"## {title}", "", *head, *rows, ""])


def _row(row: Parameter) -> str:
    required = " Required." if row.required else ""
    return f"| `{row.name}` | {row.text}{required} |"


def main() -> int:
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
