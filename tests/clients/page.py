"""The dated matrix of clients, as a page."""

from collections.abc import Sequence

from tests.clients.playing import Result
from tests.clients.table import CLIENTS, PINNED_ON, Client, Turn

HEAD = """\
# Clients

Written by `scripts/clients` on {day}: real clients, unmodified, each installed from its registry
into an environment of its own, with an empty home and no network but a private booth. Versions were
pinned on {pinned}.

- **plain** and **streamed**: the answer is shown; the call stands in the books, ended and paid.
  Command line clients stream always, but for aider.
- **tools**: the model calls a tool, the client runs it, and the answer to its result is shown. In
  front of its call the model thinks, so that reasoning goes back as well.
- **error**: an unknown model; **wrong key**; **no money**: a balance of 0. The client shows the
  booth's message, or words of its own that name the cause.
- Libraries make the plain and the streamed turn with a real model, SmolLM2 135M, which runs
  embedded. The scripted engine plays the model for openai-agents, for the command line clients,
  most of whose prompts are longer than that window, and for all tools: which one is called must
  not be left to chance.
- **connect**: the program that `tokenbooth connect` prints runs as it is. Command line clients run
  with the variables and files that it prints in every turn.
- **patch**: as tools, with a freeform tool: its input is a text of its own, and no JSON.
- Libraries keep their own defaults: the second step of a response of the AI SDK refers to items
  that the booth has stored.
"""


def page(results: Sequence[Result], day: str) -> str:
    """Every client that was played, in the order of the table."""
    played = [client for client in CLIENTS if any(r.client == client.name for r in results)]
    turns = list(Turn)
    lines = [HEAD.format(day=day, pinned=PINNED_ON)]
    lines.append(f"| Client | Version | API | {' | '.join(turn.value for turn in turns)} |")
    lines.append("|---" * (3 + len(turns)) + "|")
    for client in played:
        cells = [_cell(client, turn, results) for turn in turns]
        row = [client.title, _versions(client), ", ".join(client.apis), *cells]
        lines.append(f"| {' | '.join(row)} |")
    remarks = [*_remarks(results)]
    return "\n".join([*lines, *(["", "## Remarks", *remarks] if remarks else []), ""])


def _cell(client: Client, turn: Turn, results: Sequence[Result]) -> str:
    found = next((r for r in results if (r.client, r.turn) == (client.name, turn)), None)
    if found is None:
        return "has none" if turn is Turn.TOOLS else "-"
    if found.fault is not None:
        return "no" if found.passed else "**FAILED**"
    own = client.own_words.get(turn)
    return "pass, in its own words" if own else "pass"


def _versions(client: Client) -> str:
    first, *others = client.packages
    version = first.rpartition("==" if "==" in first else "@")[2]
    return f"{version} and {len(others)} more" if others else version


def _remarks(results: Sequence[Result]) -> list[str]:
    made = []
    for result in results:
        if result.known is not None:
            made.append(f"- {result.client}, {result.turn.value}: {result.known}.")
        elif result.fault is not None:
            made.append(f"- {result.client}, {result.turn.value}: {result.fault}")
    return made
