"""``tokenbooth ledger``: proof that the books are right."""

import typer

from tokenbooth.cli.options import AsJson, DataDir, group
from tokenbooth.cli.output import EXIT_REFUSED, emit, lines

app = group("ledger", "The ledger: append-only, double entry.")


@app.callback()
def ledger() -> None:
    """The ledger: append-only, double entry."""


@app.command("verify")
def verify(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Recompute every balance, limit and hold from the postings; exit 1 on any difference."""
    from tokenbooth.cli.booth import read
    from tokenbooth.control import reports
    from tokenbooth.core.money import format_nano

    found = read(data_dir, lambda _booth, op, tx: reports.verification(op, tx))
    emit(
        reports.verification_json(found),
        as_json=as_json,
        text=lines(
            f"accounts    {found.accounts}",
            f"difference  {format_nano(found.difference_nano)}",
            f"open holds  {found.open_holds}",
            *(f"problem     {text}" for text in found.problems),
            "sound" if reports.is_sound(found) else "NOT SOUND: restore a backup, or ask for help",
        ),
    )
    if not reports.is_sound(found):
        raise typer.Exit(EXIT_REFUSED)
