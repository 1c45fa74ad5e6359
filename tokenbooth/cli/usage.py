"""``tokenbooth usage``: what was used and what it cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir
from tokenbooth.cli.output import emit, table

DAYS = 30


def usage(
    org: Annotated[
        str | None, typer.Argument(help="Name or id; without it, one line for each organization.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="First UTC day. [default: 30 days ago]")] = None,
    until: Annotated[str | None, typer.Option(help="Last UTC day. [default: today]")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show usage and cost: of all organizations, or of one by day and model."""
    if org is None:
        _all(as_json, data_dir)
    else:
        span = {"since": since, "until": until}
        _one(org, {name: day for name, day in span.items() if day}, as_json, data_dir)


def _all(as_json: bool, data_dir: Path | None) -> None:
    from tokenbooth.cli.booth import read
    from tokenbooth.control import reports
    from tokenbooth.core.money import format_nano

    found = read(data_dir, lambda _booth, op, tx: reports.totals(op, tx))
    rows = [
        (
            line.name,
            line.total.calls,
            line.total.running,
            line.total.input_tokens,
            line.total.output_tokens,
            format_nano(line.total.cost_nano),
            line.currency,
        )
        for line in found
    ]
    heads = (
        "ORGANIZATION",
        "CALLS",
        "RUNNING",
        "INPUT TOKENS",
        "OUTPUT TOKENS",
        "COST",
        "CURRENCY",
    )
    emit(
        {"object": "list", "data": [reports.org_usage_json(line) for line in found]},
        as_json=as_json,
        text=table(heads, rows),
    )


def _one(org: str, span: Mapping[str, str], as_json: bool, data_dir: Path | None) -> None:
    from tokenbooth.cli.booth import read
    from tokenbooth.control import documents, reports
    from tokenbooth.core.money import format_nano
    from tokenbooth.web.query import day_span

    report = read(
        data_dir,
        lambda _booth, op, tx: reports.usage_of(op, tx, org, *day_span(span, op.now(), DAYS)),
    )
    rows = [
        (
            documents.iso_day(line.day_us),
            line.model,
            line.calls,
            line.usage.input_tokens,
            line.usage.output_tokens,
            format_nano(line.cost_nano),
        )
        for line in report.lines
    ]
    heads = ("DAY", "MODEL", "CALLS", "INPUT TOKENS", "OUTPUT TOKENS", f"COST {report.currency}")
    emit(reports.usage_report_json(report), as_json=as_json, text=table(heads, rows))
