"""``tokenbooth events``: what the booth has to tell."""

from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, group
from tokenbooth.cli.output import emit, table

app = group("events", "Events: spend alerts, and what the reconciler found.")


@app.callback()
def events() -> None:
    """Events: spend alerts, and what the reconciler found."""


@app.command("list")
def list_all(
    org: Annotated[str | None, typer.Option(help="Only this organization's.")] = None,
    limit: Annotated[int, typer.Option(help="Rows.", min=1, max=1000)] = 50,
    after: Annotated[str | None, typer.Option(help="The last id of the page before.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List events, newest first."""
    from tokenbooth.cli.booth import read
    from tokenbooth.control import documents
    from tokenbooth.control import events as verbs

    page = read(
        data_dir,
        lambda _booth, op, tx: verbs.events_of(op, tx, org, after=after, limit=limit),
    )
    rows = [
        (
            documents.iso_time(event.created_us),
            event.topic.value,
            event.org_id or None,
            event.body,
            event.id,
        )
        for event in page.events
    ]
    heads = ("TIME", "TOPIC", "ORGANIZATION", "BODY", "ID")
    emit(verbs.page_json(page), as_json=as_json, text=table(heads, rows))
