"""``tokenbooth price``: price books, what stands in them, and who is locked to what."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, Yes, group
from tokenbooth.cli.output import emit, lines, table

if TYPE_CHECKING:
    from tokenbooth.booth import Booth
    from tokenbooth.control.price_forecast import Forecast
    from tokenbooth.control.prices import Change
    from tokenbooth.core.op import Op
    from tokenbooth.core.ports import Tx
    from tokenbooth.money.prices.service import Meter, PriceVersion

app = group("price", "Prices: books, versions, locks.")
book_app = group("book", "Price books: each in one currency.")
app.add_typer(book_app)

DAYS = 7

Model = Annotated[str, typer.Argument(help="Name of a model on offer.")]
BookOption = Annotated[str, typer.Option("--book", help="Name or id of the price book.")]
Org = Annotated[str, typer.Argument(help="Name or id of the organization.")]


@app.command("set")
def set_(  # noqa: PLR0913 - one parameter for each option of the command line
    model: Model,
    input_: Annotated[str, typer.Option("--input", help="For a million input tokens.")],
    output: Annotated[str, typer.Option("--output", help="For a million output tokens.")],
    cached: Annotated[
        str | None, typer.Option("--cached", help="For a million cached input tokens.")
    ] = None,
    line: Annotated[
        list[str] | None,
        typer.Option(help="METER=PRICE for a million of another meter; may be repeated."),
    ] = None,
    tier: Annotated[str, typer.Option(help="standard, priority, flex or batch.")] = "standard",
    data_terms: Annotated[str, typer.Option(help="private or contributor.")] = "private",
    book: BookOption = "default",
    yes: Yes = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Set the prices of one tier of a model; a tenfold step needs --yes."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import data_terms_of, price_pico, tier_of
    from tokenbooth.control import prices
    from tokenbooth.money.prices.service import Meter, Step, Tariff

    asked = _other_lines(line)
    asked |= {Meter.INPUT: price_pico(input_, "input"), Meter.OUTPUT: price_pico(output, "output")}
    if cached is not None:
        asked[Meter.CACHED_INPUT] = price_pico(cached, "cached")
    tariff = Tariff(tier_of(tier), data_terms_of(data_terms), (Step(0, asked),))
    ask = prices.TariffAsk(model, tariff, book)
    made = write(
        data_dir, lambda booth, op, tx: prices.set_tariff(op, tx, ask, booth.ids, confirmed=yes)
    )
    _show([made], as_json=as_json)


@app.command("publish")
def publish(
    file: Annotated[Path, typer.Argument(help="A price list in TOML; see docs/prices.md.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Publish nothing; recompute past calls.")
    ] = False,
    days: Annotated[int, typer.Option(help="Days of past calls to recompute.")] = DAYS,
    yes: Yes = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Publish a whole price list, all of it or nothing. A tenfold step needs --yes."""
    from tokenbooth.cli.booth import read, write
    from tokenbooth.cli.parsing import file_bytes
    from tokenbooth.control import price_books, price_forecast, prices
    from tokenbooth.control.price_sheet import SHEET_BYTES_MAX, read_sheet

    sheet = read_sheet(file_bytes(file, SHEET_BYTES_MAX))
    if dry_run:

        def foresee(_booth: "Booth", op: "Op", tx: "Tx") -> "tuple[tuple[Change, ...], Forecast]":
            changes = price_books.changes_of(op, tx, sheet)
            return changes, price_forecast.forecast(op, tx, changes, days)

        _show_forecast(*read(data_dir, foresee), as_json=as_json)
        return

    def work(booth: "Booth", op: "Op", tx: "Tx") -> "tuple[PriceVersion, ...]":
        changes = price_books.changes_of(op, tx, sheet)
        return prices.publish_all(op, tx, changes, booth.ids, confirmed=yes)

    _show(list(write(data_dir, work)), as_json=as_json)


@app.command("list")
def list_all(
    book: BookOption = "default", as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """List what is in force in a price book."""
    from tokenbooth.cli.booth import read
    from tokenbooth.control import price_books

    found = read(data_dir, lambda _booth, op, tx: price_books.versions_in(op, tx, book))
    _show(list(found), as_json=as_json)


@app.command("history")
def history(model: Model, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List every version of a model's price in every book, newest first."""
    from tokenbooth.cli.booth import read
    from tokenbooth.money.prices import service

    found = read(data_dir, lambda _booth, op, tx: service.history(op, tx, model))
    _show(list(found), as_json=as_json)


@app.command("lock")
def lock(  # noqa: PLR0913 - one parameter for each option of the command line
    org: Org,
    model: Model,
    version: Annotated[
        str | None, typer.Option(help="Id of the version. [default: what it pays now]")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="A time, or a span such as 7d. [default: now]")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="A time, or a span such as 365d. [default: no end]")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Let an organization pay one version of a price, whatever is published."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import moment_us
    from tokenbooth.control import price_books, price_documents

    def work(_booth: "Booth", op: "Op", tx: "Tx") -> price_books.LockLine:
        span = (moment_us(since, op.now(), "from"), moment_us(until, op.now(), "until"))
        return price_books.lock_price(op, tx, price_books.LockAsk(org, model, version, *span))

    made = write(data_dir, work)
    document = price_documents.lock_json(made.lock)
    emit(
        document,
        as_json=as_json,
        text=lines(
            f"Organization {made.org_name} pays {made.lock.version_id} for {model} from"
            f" {document['from']} until {document['until'] or 'it is unlocked'}."
        ),
    )


@app.command("unlock")
def unlock(org: Org, model: Model, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """End every lock of an organization on a model that holds now or later."""
    from tokenbooth.cli.booth import write
    from tokenbooth.control import price_books

    ended = write(data_dir, lambda _booth, op, tx: price_books.unlock_price(op, tx, org, model))
    emit(
        {"organization": org, "model": model, "ended": len(ended)},
        as_json=as_json,
        text=lines(f"Organization {org} pays the published price of {model}."),
    )


@app.command("locks")
def list_locks(
    org: Annotated[str | None, typer.Option(help="Only this organization's.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List locks that hold now or later."""
    from tokenbooth.cli.booth import read
    from tokenbooth.control import price_books, price_documents
    from tokenbooth.control.documents import iso_time

    found = read(data_dir, lambda _booth, op, tx: price_books.lock_lines(op, tx, org))
    emit(
        {"object": "list", "data": [price_documents.lock_json(line.lock) for line in found]},
        as_json=as_json,
        text=table(
            ("ORGANIZATION", "MODEL", "VERSION", "HOLDS", "FROM", "UNTIL"),
            [
                (
                    line.org_name,
                    line.lock.model,
                    line.lock.version_id,
                    "now" if line.holds else "later",
                    iso_time(line.lock.from_us),
                    iso_time(line.lock.until_us),
                )
                for line in found
            ],
        ),
    )


@book_app.command("create")
def create_book(
    name: Annotated[str, typer.Argument(help="A name, unique in this booth.")],
    currency: Annotated[str, typer.Option(help="ISO code, such as EUR. It never changes.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Create an empty price book."""
    from tokenbooth.cli.booth import write
    from tokenbooth.control import price_documents
    from tokenbooth.money.prices import service

    made = write(
        data_dir, lambda booth, op, tx: service.create_book(op, tx, name, currency, booth.ids)
    )
    emit(
        price_documents.book_json(made),
        as_json=as_json,
        text=lines(f"Price book {made.name} is {made.id}, in {made.currency}."),
    )


@book_app.command("list")
def list_books(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List price books."""
    from tokenbooth.cli.booth import read
    from tokenbooth.control import price_documents
    from tokenbooth.money.prices import service

    found = read(data_dir, lambda _booth, op, tx: service.books(op, tx))
    emit(
        {"object": "list", "data": [price_documents.book_json(each) for each in found]},
        as_json=as_json,
        text=table(
            ("NAME", "ID", "CURRENCY"), [(each.name, each.id, each.currency) for each in found]
        ),
    )


def _other_lines(texts: list[str] | None) -> "dict[Meter, int]":
    """``METER=PRICE`` texts; a price is for a million units."""
    from tokenbooth.cli.parsing import pairs, price_pico
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem
    from tokenbooth.money.prices.service import Meter

    found = pairs(texts, "line")
    own = {Meter.INPUT.value: "--input", Meter.OUTPUT.value: "--output"}
    for name in found:
        if name in own or name not in {meter.value for meter in Meter}:
            known = ", ".join(meter.value for meter in Meter if meter.value not in own)
            raise Problem(Code.INVALID_VALUE, f"line must be one of: {known}.", param="line")
    return {Meter(name): price_pico(text, name) for name, text in found.items()}


def _show(versions: "list[PriceVersion]", *, as_json: bool) -> None:
    """One row for each tier, data terms and context step; prices for a million units."""
    from tokenbooth.control import price_documents

    documents = [price_documents.version_json(version) for version in versions]
    rows = [
        (
            version.model,
            tariff.tier.value,
            tariff.data_terms.value,
            step.context_min_tokens,
            version.currency,
            _cells(dict(step.lines)),
            version.id,
        )
        for version in versions
        for tariff in version.tariffs
        for step in tariff.steps
    ]
    heads = ("MODEL", "TIER", "DATA TERMS", "FROM TOKENS", "CURRENCY", "PER MILLION", "VERSION")
    emit({"object": "list", "data": documents}, as_json=as_json, text=table(heads, rows))


def _cells(step: "dict[Meter, int]") -> str:
    from tokenbooth.control.prices import format_price

    return " ".join(f"{meter.value}={format_price(pico)}" for meter, pico in step.items())


def _show_forecast(changes: "tuple[Change, ...]", forecast: "Forecast", *, as_json: bool) -> None:
    from tokenbooth.control import price_documents
    from tokenbooth.core.money import format_nano
    from tokenbooth.money.prices.service import named

    document = {
        **price_documents.forecast_json(forecast),
        "changes": [price_documents.change_json(change) for change in changes],
    }
    heads = ("MODEL", "CALLS", "OLD TOTAL", "NEW TOTAL", "DIFFERENCE", "LOCKED", "REFUSED")
    rows = [
        (
            line.model,
            line.calls,
            format_nano(line.old_nano),
            format_nano(line.new_nano),
            format_nano(line.difference_nano),
            line.locked,
            line.refused,
        )
        for line in forecast.models
    ]
    emit(document, as_json=as_json, text=table(heads, rows))
    if not as_json:
        told = [f"{c.ask.model}: no change" for c in changes if not c.is_one]
        told += [f"tenfold: {c.ask.model}: {step}" for c in changes for step in c.steps]
        told += [
            f"no longer priced: {c.ask.model}: {named(each)}" for c in changes for each in c.removed
        ]
        emit({}, as_json=False, text=lines(*told, f"{forecast.days} days, {forecast.currency}"))
