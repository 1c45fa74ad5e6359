"""``tokenbooth chat``: a conversation in the terminal, with its running cost."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, BaseUrl, DataDir, KeySecret

LINE_CHARACTERS_MAX = 100_000


def chat(  # noqa: PLR0913 - one parameter for each option of the command line
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="Ask this once, then stop.")
    ] = None,
    base_url: BaseUrl = None,
    key: KeySecret = None,
    output_tokens_max: Annotated[
        int, typer.Option("--max-tokens", min=1, help="Longest answer in tokens.")
    ] = 512,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Talk with a model; every answer shows its exact cost. An empty line or Ctrl-D ends."""
    from tokenbooth.cli.conversation import Conversation
    from tokenbooth.cli.output import stdout
    from tokenbooth.cli.reach import client_for

    client = client_for(base_url, key, data_dir)
    show = _silent if as_json else _write
    talk = Conversation(client, model, show, output_tokens_max=output_tokens_max)
    console = stdout()
    for line in _lines(message, prompt=sys.stdin.isatty() and not as_json):
        answer = talk.ask(line)
        if as_json:
            import json

            _write(json.dumps(answer.document) + "\n")
        else:
            said = f"{answer.cost} {answer.currency}; {talk.total} {answer.currency} in all"
            console.print(f"\n[{said}]", style="dim")


def _lines(message: str | None, *, prompt: bool) -> Iterator[str]:
    if message is not None:
        yield message
        return
    while True:
        if prompt:
            _write("> ")
        line = sys.stdin.readline(LINE_CHARACTERS_MAX).strip()
        if not line:
            return
        yield line


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _silent(_text: str) -> None:
    return
