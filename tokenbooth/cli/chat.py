"""``tokenbooth chat``: a conversation in the terminal, with its running cost."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir

if TYPE_CHECKING:
    from tokenbooth.cli.client import BoothClient

LINE_CHARACTERS_MAX = 100_000


def chat(  # noqa: PLR0913 - one parameter for each option of the command line
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="Ask this once, then stop.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Else $TOKENBOOTH_BASE_URL, else the booth of --data-dir.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="API key; else $TOKENBOOTH_API_KEY, else the key of `up`.")
    ] = None,
    output_tokens_max: Annotated[
        int, typer.Option("--max-tokens", min=1, help="Longest answer in tokens.")
    ] = 512,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Talk with a model; every answer shows its exact cost. An empty line or Ctrl-D ends."""
    from tokenbooth.cli.conversation import Conversation
    from tokenbooth.cli.output import stdout

    client = _client(base_url, key, data_dir)
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


def _client(base_url: str | None, key: str | None, data_dir: Path | None) -> "BoothClient":
    from tokenbooth.cli.client import BoothClient
    from tokenbooth.config import client_settings, data_dir_of
    from tokenbooth.control.serving import serving_now
    from tokenbooth.control.up_key import read_up_key
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem

    variables, home = client_settings(), data_dir_of(data_dir)
    secret = key or variables.api_key or read_up_key(home)
    if secret is None:
        raise Problem(Code.MISSING_KEY, "Give a key with --key or TOKENBOOTH_API_KEY.")
    address = base_url or variables.base_url
    if address is None:
        serving = serving_now(home)
        if serving is None:
            raise Problem(
                Code.STATE_CONFLICT,
                f"No booth serves {home}: start one with `tokenbooth up`, or give --base-url.",
            )
        address = serving.base_url
    return BoothClient(address, secret)


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
