"""``tokenbooth connect``: what a client needs to use this booth, ready to copy."""

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.options import AsJson, BaseUrl, DataDir

if TYPE_CHECKING:
    from tokenbooth.cli.first_turn import FirstTurn
    from tokenbooth.cli.recipes import Recipe

YOUR_KEY = "YOUR_KEY"


def connect(  # noqa: PLR0913 - one parameter for each option of the command line
    client: Annotated[
        str,
        typer.Argument(
            help="claude-code, codex, opencode, aider, qwen-code, openai, anthropic, ai-sdk"
            " or langchain."
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="Name of the model. [default: the first on offer]")
    ] = None,
    base_url: BaseUrl = None,
    key: Annotated[
        str | None,
        typer.Option(
            help=f"API key to write out; else {YOUR_KEY} stands there, and a call is made with"
            " $TOKENBOOTH_API_KEY, else the key of `up`."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Make one paid turn as this client does.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Print the configuration that a client needs: variables, files, a program to try."""
    from tokenbooth.cli.first_turn import make_first_turn
    from tokenbooth.cli.output import emit, lines
    from tokenbooth.cli.reach import address_of, client_for
    from tokenbooth.cli.recipes import Target, recipe

    address = address_of(base_url, data_dir).rstrip("/").removesuffix("/v1")
    recipe(client, Target(address, "", ""))
    if model is None:
        offered = client_for(address, key, data_dir).get("/v1/models")["data"]
        model = str(offered[0]["id"]) if offered else "YOUR_MODEL"
    found = recipe(client, Target(address, key or YOUR_KEY, model))
    turn = None
    if check:
        turn = make_first_turn(client_for(address, key, data_dir), found.api, model)
    document = {
        "client": client,
        "api": found.api.value,
        "base_url": address,
        "model": model,
        "variables": dict(found.variables),
        "files": dict(found.files),
        "programs": dict(found.programs),
        "start": found.start or None,
        "check": None if turn is None else turn.document,
    }
    emit(document, as_json=as_json, text=lines(*_shown(found, turn)))


def _shown(found: "Recipe", turn: "FirstTurn | None") -> Iterator[str]:
    """Ready to copy: variables for a shell, then files and programs under their names."""
    yield f"# {found.client} calls {found.api.value}. Set these variables:"
    for name, value in found.variables.items():
        yield f"export {name}={shlex.quote(value)}"
    for place, content in found.files.items():
        yield f"\n# Put this into {place}:"
        yield from content.rstrip("\n").split("\n")
    for place, content in found.programs.items():
        yield f"\n# A program to try, {place}:"
        yield from content.rstrip("\n").split("\n")
    if found.start:
        yield f"\n# Then start it: {found.start}"
    if turn is not None:
        tokens = f"{turn.input_tokens} input + {turn.output_tokens} output tokens"
        yield f"\n# One turn was made: {turn.answer.strip()!r}"
        yield f"# {tokens}, {turn.document['cost']} {turn.currency}"
