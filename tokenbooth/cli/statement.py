"""``tokenbooth statement``: what an organization was charged in a period, call by call."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from tokenbooth.cli.options import DataDir, group

if TYPE_CHECKING:
    from tokenbooth.booth import Booth

DAYS = 30

app = group("statement", "What was charged in a period, call by call.")


@app.callback()
def statement() -> None:
    """What was charged in a period, call by call."""


@app.command("export")
def export(
    org: Annotated[str, typer.Option(help="Organization, by name or id.")],
    since: Annotated[str | None, typer.Option(help="First UTC day. [default: 30 days ago]")] = None,
    until: Annotated[str | None, typer.Option(help="Last UTC day. [default: today]")] = None,
    layout: Annotated[
        Literal["json", "csv"],
        typer.Option("--format", help="json: receipts, one on each line; csv: a table."),
    ] = "json",
    out: Annotated[Path | None, typer.Option(help="File to make; else standard output.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write every charge that was booked on these days, and their sum, signed, on the last line."""
    from tokenbooth.cli.booth import with_booth
    from tokenbooth.web.query import day_span

    days = {name: day for name, day in (("since", since), ("until", until)) if day}

    async def written(booth: "Booth") -> None:
        since_us, until_us = day_span(days, booth.clock.now_us(), DAYS)
        await _write(booth, (org, since_us, until_us), layout, out)

    with_booth(data_dir, written)


async def _write(
    booth: "Booth", asked: tuple[str, int, int], layout: str, out: Path | None
) -> None:
    """A file appears under its name only when it is whole."""
    from tokenbooth.cli.booth import ACTOR
    from tokenbooth.control.statements import LAYOUTS, span_of, statement

    op = booth.op(ACTOR)
    span = await booth.store.read(lambda tx: span_of(op, tx, *asked))
    pieces = statement(booth.store, op, booth.signer(), span, LAYOUTS[layout]())
    if out is None:
        async for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    part = _new_part(out)
    with part.open("wb") as stream:
        async for piece in pieces:
            stream.write(piece)
        _make_durable(stream)
    part.rename(out)


def _new_part(out: Path) -> Path:
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem

    if out.exists():
        raise Problem(Code.ALREADY_EXISTS, f"{out} exists; choose another name.", param="out")
    part = out.with_name(f"{out.name}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    except OSError as error:
        raise Problem(
            Code.STATE_CONFLICT, f"{part} cannot be written: {error.strerror}."
        ) from error
    return part


def _make_durable(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
