"""What must hold after every step, judged by the rows of the database and by what callers saw.

Nothing here asks the product whether it is right: prices, windows and sums are computed anew.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.money.ledger import service as ledger
from tokenbooth.proving.simulator.books import Books, Limit, Record
from tokenbooth.proving.simulator.call import Call, worth_nano
from tokenbooth.proving.simulator.database import Database

US_PER_S = 1_000_000
BALANCE = "balance:"

_LEASES = "SELECT limit_id, sum(granted_nano), sum(held_nano) FROM lease GROUP BY limit_id"
_NEGATIVE = "SELECT count(*) FROM lease WHERE granted_nano < held_nano OR held_nano < 0"
_LEFT = "SELECT count(*) FROM lease WHERE granted_nano > 0"
_UNBALANCED = (
    "SELECT count(*) FROM"
    " (SELECT 1 FROM ledger_posting GROUP BY txn_id HAVING sum(amount_nano) <> 0)"
)
_POSTED = (
    "SELECT kind, org_id, sum(amount_nano) FROM ledger_posting"
    " JOIN ledger_account ON ledger_account.id = account_id GROUP BY account_id"
)


def book_laws(database: Database, books: Books) -> Iterator[str]:
    """Caps, leases, postings and spent sums, from the rows alone."""
    leases = {name: (granted, held) for name, granted, held in database.rows(_LEASES)}
    spent: Counter[str] = Counter()
    for record in books.records.values():
        for name in record.limits:
            spent[name] += record.cost_nano
    for name, row in books.limits.items():
        yield from _limit_laws(name, row, leases.get(name, (0, 0)), spent[name])
    if database.rows(_NEGATIVE)[0][0]:
        yield "a lease holds more than it was granted"
    yield from _posting_laws(database, books.limits, spent)


def _limit_laws(name: str, row: Limit, leased: tuple[int, int], cost_nano: int) -> Iterator[str]:
    if row.limit_nano is not None and row.spent_nano + row.leased_nano > row.limit_nano:
        yield f"{name}: {row.spent_nano} spent and {row.leased_nano} leased of {row.limit_nano}"
    if (row.leased_nano, row.held_nano) != leased:
        yield f"{name}: {row.leased_nano} leased, {row.held_nano} held; leases say {leased}"
    if row.spent_nano != cost_nano:
        yield f"{name}: {row.spent_nano} spent, calls cost {cost_nano}"


def _posting_laws(
    database: Database, limits: Mapping[str, Limit], spent: Mapping[str, int]
) -> Iterator[str]:
    if database.rows(_UNBALANCED)[0][0]:
        yield "a transaction does not add up to zero"
    posted = {(kind, org): amount for kind, org, amount in database.rows(_POSTED)}
    for name, row in limits.items():
        if name.startswith(BALANCE):
            org = name.removeprefix(BALANCE)
            revenue, credit = posted.get(("revenue", org), 0), -posted.get(("clearing", org), 0)
            if revenue != spent[name]:
                yield f"{org}: {revenue} posted as revenue, calls cost {spent[name]}"
            if credit != row.limit_nano:
                yield f"{org}: {credit} credited, the balance may spend {row.limit_nano}"


def record_laws(books: Books, calls: Mapping[str, Call]) -> Iterator[str]:
    """Each call is charged once, never more than its caller saw, and never changes again."""
    for name, record in books.records.items():
        before, call = books.final.get(name), calls.get(name)
        if before is not None:
            if before != record:
                yield f"{name}: a final record changed from {before} to {record}"
        elif call is None:
            yield f"{name}: a record of a call that nobody made"
        else:
            yield from (f"{name}: {text}" for text in _amounts(record, call))
            yield from (f"{name}: {text}" for text in _windows(record, call))
            if record.closed:
                books.final[name] = record
    gone = books.final.keys() - books.records.keys()
    if gone:
        yield f"records vanished: {sorted(gone)}"


def _amounts(record: Record, call: Call) -> Iterator[str]:
    cost_nano = record.cost_nano
    if call.hold is None and call.over and cost_nano and not call.lost:
        yield f"{cost_nano} charged though nothing was held for the caller"
    if not 0 <= cost_nano <= record.held_nano:
        yield f"{cost_nano} charged, {record.held_nano} held"
    if not record.closed or record.forfeited:
        if cost_nano:
            yield f"{cost_nano} charged on what is open or forfeited"
    elif not (call.gateway.forfeited and cost_nano == 0):
        yield from _ends(record, call)


def _ends(record: Record, call: Call) -> Iterator[str]:
    """A charge is what the caller was told; untold, what was delivered, or how it did end."""
    cost_nano = record.cost_nano
    if call.receipt is not None:
        yield from _told(record, call.receipt)
    elif record.outcome == Outcome.INTERRUPTED:
        most_nano = worth_nano(call.plan.input_tokens, call.delivered) if call.plan.stream else 0
        if cost_nano > most_nano:
            yield f"interrupted for {cost_nano}, delivered {most_nano}"
    elif cost_nano != min(call.expected_nano, record.held_nano):
        yield f"{cost_nano} charged, its end was worth {call.expected_nano}"


def _told(record: Record, receipt: Receipt) -> Iterator[str]:
    if record.cost_nano != receipt.cost_nano:
        yield f"{record.cost_nano} charged, the caller was told {receipt.cost_nano}"
    if record.outcome != receipt.outcome:
        yield f"ended as {record.outcome}, told {receipt.outcome}"


def _windows(record: Record, call: Call) -> Iterator[str]:
    """Money is that of the window in which it was held, some time after it was asked for."""
    for limit in record.limits:
        base, _, window = limit.partition("@")
        if window and call.held_us:
            first, last = day_of(call.began_us), day_of(call.held_us)
            if not first <= window <= last:
                yield f"held from {first} to {last} from {base} of {window}"


def day_of(now_us: int) -> str:
    return datetime.fromtimestamp(now_us // US_PER_S, UTC).strftime("%Y-%m-%d")


def delivered_laws(books: Books, calls: Iterable[Call]) -> Iterator[str]:
    """What callers of a limit were told that they owe never passes it, booked or not.

    ``calls`` are those whose end was not seen in the books yet.
    """
    owed: Counter[str] = Counter()
    for call in calls:
        if call.receipt is not None and not call.gateway.forfeited:
            for scope, owner in ledger.chain_of(call.plan.caller):
                owed[f"{scope.value}:{owner}"] += call.receipt.cost_nano
    for name, amount_nano in owed.items():
        row = books.limits.get(name)
        if row is None or row.limit_nano is None or row.period != "none":
            continue
        if row.spent_nano + amount_nano > row.limit_nano:
            yield f"{name}: {row.spent_nano} booked and {amount_nano} told, of {row.limit_nano}"


def final_laws(database: Database, books: Books, calls: Iterable[Call]) -> Iterator[str]:
    """After everything was told: nothing leased, nothing open, nobody's end forgotten."""
    for name, row in books.limits.items():
        if row.leased_nano or row.held_nano:
            yield f"{name}: {row.leased_nano} leased and {row.held_nano} held at the end"
    if database.rows(_LEFT)[0][0]:
        yield "leases are left at the end"
    for name, record in books.records.items():
        if not record.closed:
            yield f"{name}: open at the end"
    for call in calls:
        told = call.receipt is not None and not call.gateway.forfeited
        if told and call.request_id not in books.records:
            yield f"{call.request_id}: its caller was told of the end, and it was never booked"
