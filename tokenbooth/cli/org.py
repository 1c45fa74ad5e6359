"""``tokenbooth org``: organizations, their credit and their caps."""

from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, CapPeriod, DataDir, NewCapPeriod, group
from tokenbooth.cli.output import emit, lines, table

app = group("org", "Organizations: who pays.")

Name = Annotated[str, typer.Argument(help="A name, unique in this booth.")]
Org = Annotated[str, typer.Argument(help="Name or id of the organization.")]


@app.command("create")
def create(  # noqa: PLR0913 - one parameter for each option of the command line
    name: Name,
    cap: Annotated[
        str | None, typer.Option("--cap", "--cap-usd", help="Hard cap on all that it ever spends.")
    ] = None,
    cap_period: CapPeriod = "none",
    book: Annotated[
        str, typer.Option(help="Price book that it buys from, which sets its currency.")
    ] = "default",
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests per minute.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens per minute.")] = None,
    parallel: Annotated[int | None, typer.Option(min=1, help="Calls at the same time.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Create an organization with an empty balance and a project named default."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import cap_nano, period_of
    from tokenbooth.control import accounts, documents
    from tokenbooth.core.caller import CallLimits

    ask = accounts.OrganizationAsk(
        name,
        CallLimits(rpm, tpm, parallel),
        cap_nano=cap_nano(cap),
        book=book,
        cap_period=period_of(cap_period),
    )
    org = write(
        data_dir, lambda booth, op, tx: accounts.create_organization(op, tx, ask, booth.ids)
    )
    emit(
        documents.org_json(org),
        as_json=as_json,
        text=lines(f"Organization {org.name} is {org.id}; its balance is empty."),
    )


@app.command("list")
def list_all(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List organizations with what they have left."""
    from tokenbooth.cli.booth import read
    from tokenbooth.cli.money import limit_cells
    from tokenbooth.control import accounts, documents

    found = read(data_dir, lambda _booth, op, tx: accounts.organizations(op, tx))
    emit(
        {"object": "list", "data": [documents.account_json(line) for line in found]},
        as_json=as_json,
        text=table(
            ("NAME", "ID", "CURRENCY", "BALANCE", "SPENT", "CAP"),
            [
                (
                    line.org.name,
                    line.org.id,
                    line.book.currency,
                    *limit_cells(line.limits[0])[::2],
                    cap,
                )
                for line in found
                for cap in (limit_cells(line.limits[1])[1],)
            ],
        ),
    )


@app.command("credit")
def credit(
    org: Org,
    amount: Annotated[
        str, typer.Argument(help="Amount in the organization's currency, such as 12.50.")
    ],
    ref: Annotated[
        str | None, typer.Option(help="Your reference; the same one twice books once.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Book prepaid credit."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import amount_nano
    from tokenbooth.control import accounts, documents
    from tokenbooth.core.money import format_nano

    nano = amount_nano(amount, "amount")
    line = write(
        data_dir,
        lambda booth, op, tx: accounts.add_credit(
            op, tx, org, nano, ref or booth.ids.new("credit")
        ),
    )
    left = format_nano(line.limits[0].remaining_nano or 0)
    emit(
        documents.account_json(line),
        as_json=as_json,
        text=lines(f"Organization {line.org.name} has {left} {line.book.currency} left."),
    )


@app.command("cap")
def cap(
    org: Org,
    amount: Annotated[
        str, typer.Argument(help="Hard cap in the organization's currency, or none.")
    ],
    cap_period: NewCapPeriod = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Set or lift the hard cap on what an organization may spend, ever or in each period."""
    from tokenbooth.cli.booth import cap as set_cap
    from tokenbooth.cli.parsing import cap_nano, period_of
    from tokenbooth.control import accounts, documents

    nano = cap_nano(amount, "amount")
    period = None if cap_period is None else period_of(cap_period)
    line = set_cap(
        data_dir, lambda _booth, op, tx: accounts.cap_organization(op, tx, org, nano, period)
    )
    emit(
        documents.account_json(line),
        as_json=as_json,
        text=lines(f"Organization {line.org.name}: cap {amount}."),
    )


@app.command("book")
def book(
    org: Org,
    name: Annotated[str, typer.Argument(help="Name or id of the price book.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Let an organization buy from another price book, before any money was booked for it."""
    from tokenbooth.cli.booth import write
    from tokenbooth.control import accounts, documents

    line = write(data_dir, lambda _booth, op, tx: accounts.set_book(op, tx, org, name))
    emit(
        documents.account_json(line),
        as_json=as_json,
        text=lines(
            f"Organization {line.org.name} buys from the book {line.book.name},"
            f" in {line.book.currency}."
        ),
    )
