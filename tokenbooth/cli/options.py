"""Options that every command shares."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Directory of this booth; else $TOKENBOOTH_DATA_DIR, else ~/.tokenbooth.",
        show_default=False,
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", help="Else $TOKENBOOTH_BASE_URL, else the booth of --data-dir."),
]
KeySecret = Annotated[
    str | None,
    typer.Option("--key", help="API key; else $TOKENBOOTH_API_KEY, else the key of `up`."),
]
CapPeriod = Annotated[
    str, typer.Option("--cap-period", help="How often the cap begins anew: day, month or none.")
]
NewCapPeriod = Annotated[
    str | None,
    typer.Option("--cap-period", help="day, month or none; as before unless given."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


def group(name: str, help_text: str) -> typer.Typer:
    """A command with sub-commands."""
    return typer.Typer(
        name=name, help=help_text, no_args_is_help=True, pretty_exceptions_enable=False
    )
