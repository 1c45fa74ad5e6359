"""Whether a turn went well, from what the client said and what the booth recorded."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.clients.stage import HELLO_TEXT, PROOF_TEXT, TOOL_ARGUMENTS, TOOL_TEXT
from tests.clients.table import Client, Turn

UNKNOWN_MODEL = "No model of that name is offered here."
EMPTY_BALANCE = "The prepaid balance has"
MALFORMED_KEY = "The API key is malformed"
PIECES_MIN = 2
_REFUSALS = {
    Turn.ERROR: UNKNOWN_MODEL,
    Turn.WRONG_KEY: MALFORMED_KEY,
    Turn.NO_MONEY: EMPTY_BALANCE,
}
_CALLING = (Turn.TOOLS, Turn.PATCH)

Json = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """``status`` is None where the client was stopped after its time; ``calls`` are the booth's
    records of it, and ``proof`` what its shell wrote."""

    status: int | None
    output: str
    calls: Sequence[Json] = ()
    proof: str = ""
    real_model: bool = field(default=False)


def fault(client: Client, turn: Turn, seen: Seen) -> str | None:
    """What went wrong, in words; None where nothing did."""
    return next(_faults(client, turn, seen), None)


def _faults(client: Client, turn: Turn, seen: Seen) -> Iterator[str]:
    if turn in _REFUSALS:
        yield from _refusal_faults(client, turn, seen)
        return
    if seen.status != 0:
        ended = "did not end in time" if seen.status is None else f"ended with {seen.status}"
        yield f"{ended}: {_tail(seen.output)}"
    if client.program is None:
        yield from _command_faults(turn, seen)
    elif turn is Turn.PRINTED:
        if not seen.output.strip():
            yield "printed nothing"
    else:
        yield from _program_faults(client, turn, seen)
    yield from _record_faults(client, turn, seen)


def _refusal_faults(client: Client, turn: Turn, seen: Seen) -> Iterator[str]:
    """The message must be shown; a client may go on trying after it showed it."""
    wanted = (_REFUSALS[turn], *filter(None, (client.own_words.get(turn),)))
    shown = " ".join(seen.output.split())
    if not any(words in shown for words in wanted):
        yield f"does not show the booth's message: {_tail(seen.output)}"
    if turn is not Turn.NO_MONEY and seen.status is None:
        yield f"did not end in time: {_tail(seen.output)}"
    if client.program is not None:
        told = _told(seen.output)
        missing = [api for api in client.apis if "error" not in told.get(api, {})]
        if missing:
            yield f"no error through {', '.join(missing)}: {_tail(seen.output)}"


def _command_faults(turn: Turn, seen: Seen) -> Iterator[str]:
    wanted = TOOL_TEXT if turn in _CALLING else HELLO_TEXT
    if wanted not in seen.output:
        yield f"does not show the answer: {_tail(seen.output)}"
    if turn in _CALLING and PROOF_TEXT not in seen.proof:
        yield f"its tool did not run: {_tail(seen.output)}"


def _program_faults(client: Client, turn: Turn, seen: Seen) -> Iterator[str]:
    told = _told(seen.output)
    for api in client.apis:
        one = told.get(api)
        if one is None or "error" in one:
            yield f"{api}: {_tail(seen.output if one is None else json.dumps(one))}"
            continue
        said = one.get("said") or ""
        wanted = TOOL_TEXT if turn is Turn.TOOLS else HELLO_TEXT
        if said.strip() != wanted and not (seen.real_model and said.strip()):
            yield f"{api}: said {said!r}"
        if turn is Turn.STREAMED and one.get("pieces", 0) < PIECES_MIN:
            yield f"{api}: came in {one.get('pieces')} piece(s)"
        if turn is Turn.TOOLS and one.get("ran") != TOOL_ARGUMENTS:
            yield f"{api}: the tool got {one.get('ran')!r}"


def _record_faults(client: Client, turn: Turn, seen: Seen) -> Iterator[str]:
    """Every call that a turn needs stands in the books, ended and paid."""
    paid = [call for call in seen.calls if call["status"] == "completed"]
    unpaid = [call for call in paid if int(call["cost"]["amount_nano"]) <= 0]
    apis = 1 if turn is Turn.PRINTED else len(client.apis)
    wanted = apis * (2 if turn in _CALLING else 1)
    if len(paid) < wanted or unpaid:
        yield f"{len(paid)} paid calls in the books instead of {wanted}"
    if len(paid) < len(seen.calls):
        others = {str(call["status"]) for call in seen.calls} - {"completed"}
        yield f"calls ended as {', '.join(sorted(others))}"
    streamed = sum(bool(call["stream"]) for call in paid)
    if turn is Turn.STREAMED and streamed < apis:
        yield f"{streamed} streamed calls in the books instead of {apis}"


def _told(output: str) -> dict[str, Json]:
    """What a program told, by API; other lines of its output are left out."""
    found: dict[str, Json] = {}
    for line in output.splitlines():
        if line.startswith('{"api"'):
            one = json.loads(line)
            found[one["api"]] = one
    return found


def _tail(output: str) -> str:
    return " ".join(output.split())[-400:] or "no output"
