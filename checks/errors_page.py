"""Writes ``docs/errors.md`` from the catalogue of codes: ``python -m checks.errors_page``."""

import sys
from pathlib import Path

from tokenbooth.core.codes import Code, Kind
from tokenbooth.protocols.problems import OPENAI, OWN, status_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
HEAD = """\
# Errors

Every failed call answers with a `code` from this list and says in `message` what to change; `param`
names the field. Codes are never renamed or reused. This page is written by
`python -m checks.errors_page` and compared with the code by `scripts/check`.

Where two statuses stand, the first is the answer of a call to a model, in the convention of the
OpenAI API, the second the answer of the account's own endpoints. `POST /v1/messages` answers in the
convention of the Anthropic API: with the first status, but 400 for `payment_required` and 529 for
`overloaded`.

A `payment_required` error also says which limit refuses and what would fit: `limit_source`,
`reason`, `limit`, `spent`, `held` and `needed` (decimal strings, and integers of nano-units as
`limit_nano` and so on), `affordable_output_tokens` for each choice, and a `remedy`. Where only
running calls are in the way, `reason` is `held_by_running_calls` and the answer has `retry-after`
and `x-should-retry: true`; every other one has `x-should-retry: false`.
"""


def render() -> str:
    """The whole page; one section for each kind that has codes, in the order of the kinds."""
    return "\n".join([HEAD, *(_section(kind) for kind in Kind if _codes(kind))])


def _codes(kind: Kind) -> list[Code]:
    return [code for code in Code if code.kind is kind]


def _section(kind: Kind) -> str:
    rows = [
        f"| `{code.text}` | {_statuses(code)} | {code.value.meaning} | {code.value.cure} |"
        for code in _codes(kind)
    ]
    head = ["| Code | Status | Meaning | What to do |", "|---|---|---|---|"]
    return "\n".join([f"## {kind.value}", "", *head, *rows, ""])


def _statuses(code: Code) -> str:
    statuses = dict.fromkeys(str(status_of(code, table)) for table in (OPENAI, OWN))
    return " / ".join(statuses)


def main() -> int:
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
