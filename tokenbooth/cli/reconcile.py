"""``tokenbooth reconcile``: what was charged against postings, calls and engine counters."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir
from tokenbooth.cli.output import EXIT_REFUSED, emit, table

if TYPE_CHECKING:
    from tokenbooth.booth import Booth
    from tokenbooth.money.reconcile.service import Result


def reconcile(
    now: Annotated[
        bool,
        typer.Option(
            "--now",
            help="Look now: at the ledger and at upstreams; a server looks at its own engines.",
        ),
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show the newest look at all charges, of the ledger and of each engine; exit 1 if one of
    them is not sound."""
    from tokenbooth.control import documents, reconciliation

    found = _found(data_dir, now=now)
    rows = [
        (
            result.subject.value,
            result.deployment_id or None,
            result.replica_id or None,
            documents.iso_time(result.until_us),
            result.difference,
            "sound" if result.sound else "NOT SOUND",
        )
        for result in found
    ]
    heads = ("SUBJECT", "DEPLOYMENT", "REPLICA", "UNTIL", "DIFFERENCE", "STATE")
    emit(reconciliation.results_json(found), as_json=as_json, text=table(heads, rows))
    if not all(result.sound for result in found):
        raise typer.Exit(EXIT_REFUSED)


def _found(data_dir: Path | None, *, now: bool) -> "tuple[Result, ...]":
    import asyncio
    from functools import partial

    from tokenbooth.cli.booth import ACTOR, with_booth
    from tokenbooth.control import reconciliation
    from tokenbooth.engine_choice import engine_of
    from tokenbooth.gateway.reconcile import check_ledger, check_upstreams

    async def work(booth: "Booth") -> "tuple[Result, ...]":
        op = booth.op(ACTOR)
        if now:
            await check_ledger(op, booth.store, "")
            await check_upstreams(op, booth.store, partial(engine_of, booth), asyncio.sleep)
        return await booth.store.read(lambda tx: reconciliation.latest(op, tx))

    return with_booth(data_dir, work)
