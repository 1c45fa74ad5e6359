"""What counts as a turn that went well, for the suite of real clients."""

import json
from typing import Any

import pytest

from tests.clients.judging import EMPTY_BALANCE, MALFORMED_KEY, UNKNOWN_MODEL, Seen, fault
from tests.clients.stage import HELLO_TEXT, PROOF_TEXT, TOOL_ARGUMENTS, TOOL_TEXT
from tests.clients.table import CLIENTS, Client, Turn

BY_NAME = {client.name: client for client in CLIENTS}
COMMAND, LIBRARY = BY_NAME["opencode"], BY_NAME["openai-python"]


def call(*, stream: bool = False, status: str = "completed", nano: int = 7) -> dict[str, Any]:
    return {"status": status, "stream": stream, "cost": {"amount_nano": nano}}


def told(**fields: object) -> str:
    """A library's output: the same for each API."""
    rows = [json.dumps({"api": api, **fields}) for api in LIBRARY.apis]
    return "\n".join(["a word before", *rows])


TWO = (call(), call())
FOUR = (*TWO, *TWO)
HELLO = told(said=HELLO_TEXT)


@pytest.mark.parametrize(
    ("client", "turn", "seen"),
    [
        (COMMAND, Turn.PLAIN, Seen(0, f"> {HELLO_TEXT}", (call(),))),
        (COMMAND, Turn.STREAMED, Seen(0, HELLO_TEXT, (call(stream=True),))),
        (COMMAND, Turn.TOOLS, Seen(0, TOOL_TEXT, TWO, PROOF_TEXT)),
        (BY_NAME["codex"], Turn.PATCH, Seen(0, TOOL_TEXT, TWO, PROOF_TEXT)),
        (COMMAND, Turn.ERROR, Seen(1, f"Error: {UNKNOWN_MODEL}")),
        (COMMAND, Turn.ERROR, Seen(1, UNKNOWN_MODEL.replace(" ", "\n"))),
        (COMMAND, Turn.NO_MONEY, Seen(None, f"retry: {EMPTY_BALANCE} 0")),
        (COMMAND, Turn.WRONG_KEY, Seen(1, f"401 {MALFORMED_KEY}: it must")),
        (BY_NAME["codex"], Turn.NO_MONEY, Seen(1, "Quota exceeded.")),
        (LIBRARY, Turn.PLAIN, Seen(0, HELLO, TWO)),
        (LIBRARY, Turn.PLAIN, Seen(0, told(said="whatever"), TWO, real_model=True)),
        (
            LIBRARY,
            Turn.STREAMED,
            Seen(0, told(said=HELLO_TEXT, pieces=4), (call(stream=True), call(stream=True))),
        ),
        (LIBRARY, Turn.TOOLS, Seen(0, told(said=TOOL_TEXT, ran=TOOL_ARGUMENTS), FOUR)),
        (LIBRARY, Turn.ERROR, Seen(0, told(error="NotFoundError", message=UNKNOWN_MODEL))),
        (LIBRARY, Turn.PRINTED, Seen(0, "hi", (call(),))),
    ],
)
def test_what_went_well_has_no_fault(client: Client, turn: Turn, seen: Seen) -> None:
    assert fault(client, turn, seen) is None


@pytest.mark.parametrize(
    ("client", "turn", "seen", "why"),
    [
        (COMMAND, Turn.PLAIN, Seen(3, "boom"), "ended with 3: boom"),
        (COMMAND, Turn.PLAIN, Seen(None, ""), "did not end in time: no output"),
        (COMMAND, Turn.PLAIN, Seen(0, "nothing", (call(),)), "does not show the answer"),
        (COMMAND, Turn.PLAIN, Seen(0, HELLO_TEXT), "0 paid calls"),
        (COMMAND, Turn.PLAIN, Seen(0, HELLO_TEXT, (call(nano=0),)), "1 paid calls"),
        (COMMAND, Turn.PLAIN, Seen(0, HELLO_TEXT, (call(), call(status="client_gone"))), "gone"),
        (COMMAND, Turn.STREAMED, Seen(0, HELLO_TEXT, (call(),)), "0 streamed calls"),
        (COMMAND, Turn.TOOLS, Seen(0, TOOL_TEXT, TWO), "its tool did not run"),
        (COMMAND, Turn.TOOLS, Seen(0, TOOL_TEXT, (call(),), PROOF_TEXT), "1 paid calls"),
        (COMMAND, Turn.ERROR, Seen(1, "Oops."), "does not show the booth's message: Oops."),
        (COMMAND, Turn.ERROR, Seen(None, UNKNOWN_MODEL), "did not end in time"),
        (COMMAND, Turn.WRONG_KEY, Seen(None, MALFORMED_KEY), "did not end in time"),
        (COMMAND, Turn.NO_MONEY, Seen(1, "Quota exceeded."), "does not show"),
        (LIBRARY, Turn.PLAIN, Seen(0, ""), "chat: no output"),
        (LIBRARY, Turn.PLAIN, Seen(0, told(error="E", message="m")), 'chat: {"api"'),
        (LIBRARY, Turn.PLAIN, Seen(0, told(said="else"), TWO), "chat: said 'else'"),
        (LIBRARY, Turn.PLAIN, Seen(0, told(said=" "), TWO, real_model=True), "chat: said ' '"),
        (LIBRARY, Turn.STREAMED, Seen(0, told(said=HELLO_TEXT, pieces=1), TWO), "1 piece(s)"),
        (LIBRARY, Turn.TOOLS, Seen(0, told(said=TOOL_TEXT, ran={}), FOUR), "the tool got {}"),
        (LIBRARY, Turn.ERROR, Seen(0, f"{HELLO}\n{UNKNOWN_MODEL}"), "no error through chat, resp"),
        (LIBRARY, Turn.PRINTED, Seen(0, " ", (call(),)), "printed nothing"),
    ],
)
def test_every_fault_is_named(client: Client, turn: Turn, seen: Seen, why: str) -> None:
    assert why in (fault(client, turn, seen) or "no fault")
