"""Statements: every charge of a period, as receipts or as a table, in pieces of bounded size."""

import csv
import io
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from tokenbooth.access.orgs import service as orgs
from tokenbooth.control.documents import Json, iso_moment
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.receipts import service as receipts
from tokenbooth.money.receipts.service import Page, Place, Proofs, Signer, Span, Tally
from tokenbooth.signing.canonical import encoded

USAGE_COLUMNS = (
    *("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens"),
    *("reasoning_tokens", "images", "audio_s", "video_s", "searches"),
)
COLUMNS = (
    *("request_id", "booked_at", "created_at", "ended_at", "project_id", "key_id", "end_customer"),
    *("model", "tier", "data_terms", "outcome", *USAGE_COLUMNS, "price_version", "transaction_id"),
    *("currency", "amount"),
)
# A spreadsheet takes a cell that begins so for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Layout(Protocol):
    """How a statement is written."""

    def head(self) -> bytes: ...

    def receipt(self, document: Mapping[str, object]) -> bytes: ...

    def end(self, document: Mapping[str, object]) -> bytes:
        """The last line, from which a reader sees that nothing is missing."""

    def failure(self, problem: Problem) -> bytes:
        """In place of the last line, when the rest cannot be read."""


class JsonLines:
    """One receipt on each line, and the signed statement on the last."""

    content_type = "application/x-ndjson"
    suffix = "jsonl"

    def head(self) -> bytes:
        return b""

    def receipt(self, document: Mapping[str, object]) -> bytes:
        return encoded(document) + b"\n"

    def end(self, document: Mapping[str, object]) -> bytes:
        return encoded(document) + b"\n"

    def failure(self, problem: Problem) -> bytes:
        error = {"code": problem.code.text, "message": problem.public}
        return encoded({"error": error}) + b"\n"


class Table:
    """Comma-separated values (RFC 4180): a row for each call, and one with the sum."""

    content_type = "text/csv; charset=utf-8"
    suffix = "csv"

    def head(self) -> bytes:
        return _row(COLUMNS)

    def receipt(self, document: Mapping[str, object]) -> bytes:
        usage, price = _inner(document, "usage"), _inner(document, "price")
        times = {name: iso_moment(_time(document[f"{name}_us"])) for name in _TIMES}
        cells = {
            **document,
            **usage,
            **{f"{name}_at": text for name, text in times.items()},
            **{name: price[name] for name in ("tier", "data_terms", "currency")},
            "price_version": price["version"],
        }
        return _row([cells[name] for name in COLUMNS])

    def end(self, document: Mapping[str, object]) -> bytes:
        totals = document["totals"]
        assert isinstance(totals, list), "a statement has totals"
        nothing = [{"currency": "", "amount": "0.000000000"}]
        return b"".join(_last_row("total", each) for each in totals or nothing)

    def failure(self, problem: Problem) -> bytes:
        return _last_row("error", {"currency": problem.code.text, "amount": ""})


LAYOUTS: Mapping[str, type[JsonLines] | type[Table]] = {"json": JsonLines, "csv": Table}
_TIMES = ("booked", "created", "ended")


async def statement(
    store: Store, op: Op, signer: Signer, span: Span, layout: Layout
) -> AsyncGenerator[bytes, None]:
    """The statement in pieces, one for each page; calls that nobody signed yet are signed first.

    Raises INVALID_VALUE for a period that ends before it starts, before the first piece.
    """
    reader, tally = _Reader(store, op, signer, span), Tally()
    page = await reader.page(None)
    yield layout.head()
    while page.lines:
        for line in page.lines:
            tally.add(line.leaf, line.currency, line.amount_nano)
        yield b"".join(layout.receipt(line.document) for line in page.lines)
        page = await reader.page(page.last)
    await store.write(lambda tx: receipts.note_key(op, tx, signer))
    yield layout.end(receipts.statement_json(tally, span, op.now(), signer.key))


def span_of(op: Op, tx: Tx, org: str, since_us: int, until_us: int) -> Span:
    """The operator's choice of an organization, by name or id. Raises NAME_NOT_FOUND."""
    return Span(orgs.org_by(op, tx, org).id, since_us, until_us)


class _Reader:
    """Reads pages, and signs what stands in the way of one."""

    def __init__(self, store: Store, op: Op, signer: Signer, span: Span) -> None:
        self._store = store
        self._op = op
        self._signer = signer
        self._span = span
        self._proofs = Proofs(signer.shelf)

    async def page(self, after: Place | None) -> Page:
        while True:
            found = await self._store.read(lambda tx: self._page(tx, after))
            if not found.unsigned:
                return found
            await self._sign(found.unsigned)

    def _page(self, tx: Tx, after: Place | None) -> Page:
        return receipts.page(self._op, tx, self._proofs, self._span, after)

    async def _sign(self, unsigned: tuple[str, ...]) -> None:
        await self._store.write(
            lambda tx: receipts.sign_these(self._op, tx, self._signer, unsigned)
        )


def _row(cells: Sequence[object]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(map(_cell, cells))
    return text.getvalue().encode()


def _cell(value: object) -> object:
    plain = "" if value is None else value
    if isinstance(plain, str) and plain.startswith(FORMULA_STARTS):
        return f"'{plain}"
    return plain


def _last_row(name: str, total: Mapping[str, object]) -> bytes:
    cells = dict.fromkeys(COLUMNS, "") | {"request_id": name}
    return _row([*({**cells, **_only(total)}).values()])


def _only(total: Mapping[str, object]) -> Json:
    return {name: total[name] for name in ("currency", "amount")}


def _inner(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = document[name]
    assert isinstance(found, dict), "a receipt holds objects here"
    return found


def _time(value: object) -> int:
    assert isinstance(value, int), "a charged call has all its times"
    return value
