"""``tokenbooth limit``: when spending under a limit is worth an alert."""

from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, group
from tokenbooth.cli.output import emit, lines

app = group("limit", "Limits: at which part of them to raise an alert.")

DEFAULT = "default"
NONE = "none"


@app.callback()
def limit() -> None:
    """Limits: at which part of them to raise an alert."""


@app.command("alerts")
def alerts(
    scope: Annotated[str, typer.Argument(help="balance, organization, project or key.")],
    owner: Annotated[
        str, typer.Argument(help="Organization by name or id, ORG/PROJECT, or a key's id.")
    ],
    percents: Annotated[
        str | None,
        typer.Argument(help="Such as 50,80,95,100; none for no alerts; default for the booth's."),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show or set the parts of a limit, in percent, whose spending makes an event."""
    from tokenbooth.cli.booth import read, write
    from tokenbooth.cli.parsing import limit_scope, percents_of
    from tokenbooth.config import load_settings
    from tokenbooth.control import events

    level = limit_scope(scope)
    if percents is None:
        line = read(data_dir, lambda _booth, op, tx: events.alert_line(op, tx, level, owner))
    else:
        wanted = None if percents == DEFAULT else percents_of(percents, none=NONE)
        line = write(
            data_dir, lambda _booth, op, tx: events.set_alerts(op, tx, level, owner, wanted)
        )
    default = load_settings(data_dir).settings.till.alert_percents
    found = line.percents if line.percents is not None else default
    shown = ", ".join(f"{percent} %" for percent in found) or "none"
    whose = "its own" if line.percents is not None else "the booth's"
    emit(
        events.alerts_json(line, default),
        as_json=as_json,
        text=lines(f"The {level.value} {line.owner_id}: alerts at {shown} ({whose})."),
    )
