"""The last line of a statement, written by whoever makes one and checked by whoever reads it.

A statement is the receipts of all charged calls that were booked in a period, in that order, and
one line more: how many they are, their sums, and a hash over their leaves, all under a signature.
Without that line it is not whole.
"""

import hashlib
from collections import Counter

from tokenbooth.core.money import format_nano
from tokenbooth.money.receipts.checking import (
    FormError,
    Trusted,
    leaf_of_document,
    read,
    signature_steps,
    verify,
)
from tokenbooth.money.receipts.rules import FORMAT, PROOF
from tokenbooth.money.receipts.values import (
    Json,
    Place,
    ReceiptForm,
    Span,
    StatementForm,
    Step,
    TotalForm,
)
from tokenbooth.signing.canonical import NotCanonical, canonical, whole
from tokenbooth.signing.keys import SigningKey


class Tally:
    """Adds up receipts as they pass, in memory that does not grow with them."""

    def __init__(self) -> None:
        self.calls = 0
        self._nano: Counter[str] = Counter()
        self._hash = hashlib.sha256()

    def add(self, leaf: bytes, currency: str, amount_nano: int) -> None:
        self.calls += 1
        self._nano[currency] += amount_nano
        self._hash.update(leaf)

    @property
    def totals(self) -> list[Json]:
        """One sum for each currency, by its code."""
        return [
            {"currency": each, "amount": format_nano(nano), "amount_nano": whole(nano)}
            for each, nano in sorted(self._nano.items())
        ]

    @property
    def receipts_sha256(self) -> str:
        """Over the leaf hashes, one after the other."""
        return self._hash.hexdigest()


def statement_json(tally: Tally, span: Span, made_us: int, key: SigningKey) -> Json:
    """The last line, signed."""
    made: Json = {
        "object": "statement",
        "format": FORMAT,
        "organization_id": span.org_id,
        "since_us": span.since_us,
        "until_us": span.until_us,
        "made_us": made_us,
        "calls": tally.calls,
        "totals": tally.totals,
        "receipts_sha256": tally.receipts_sha256,
    }
    signature = key.sign(canonical(made))
    proof = {"key_id": key.key_id, "public_key": key.public.hex(), "signature": signature.hex()}
    return {**made, PROOF: proof}


class StatementCheck:
    """Verifies a statement line by line: first every receipt, then its last line."""

    def __init__(self, trusted: Trusted) -> None:
        self._trusted = trusted
        self._tally = Tally()
        self._orgs: set[str] = set()
        self._first: Place | None = None
        self._last: Place | None = None
        self._in_order = True

    @property
    def lines(self) -> int:
        return self._tally.calls

    def receipt(self, document: Json) -> tuple[Step, ...]:
        """The steps of the next receipt."""
        steps = verify(document, self._trusted)
        if steps[0].ok:
            self._add(document, read(document, ReceiptForm))
        return steps

    def _add(self, document: Json, form: ReceiptForm) -> None:
        place = Place(form.booked_us or 0, form.transaction_id or "", form.request_id)
        self._in_order = self._in_order and (self._last is None or self._last < place)
        self._first, self._last = self._first or place, place
        if len(self._orgs) < 2:
            self._orgs.add(form.organization_id)
        self._tally.add(leaf_of_document(document), form.price.currency, int(form.amount_nano))

    def end(self, document: Json) -> tuple[Step, ...]:
        """The steps of the last line, over all that came before it."""
        try:
            form = read(document, StatementForm)
            head = {name: value for name, value in document.items() if name != PROOF}
            canonical(head)
        except (FormError, NotCanonical) as error:
            return (Step("form", ok=False, told=str(error)),)
        proof = form.proof
        return (
            Step("form", ok=True, told=f"a statement of {form.organization_id}"),
            self._period_step(form),
            self._sum_step(form),
            *signature_steps(head, proof.key_id, proof.public_key, proof.signature, self._trusted),
        )

    def _period_step(self, form: StatementForm) -> Step:
        if not self._in_order:
            return Step("period", ok=False, told="the receipts are not in their order")
        if not self._orgs <= {form.organization_id}:
            return Step("period", ok=False, told="a receipt is another organization's")
        first, last = self._first, self._last
        inside = (first is None or first.booked_us >= form.since_us) and (
            last is None or last.booked_us < form.until_us
        )
        told = "every receipt was" if inside else "a receipt was not"
        return Step("period", ok=inside, told=f"{told} booked in the period")

    def _sum_step(self, form: StatementForm) -> Step:
        claimed = [_total(each) for each in form.totals]
        same = (
            form.calls == self._tally.calls
            and claimed == self._tally.totals
            and form.receipts_sha256 == self._tally.receipts_sha256
        )
        sums = ", ".join(f"{each['amount']} {each['currency']}" for each in self._tally.totals)
        told = f"{self._tally.calls} receipts, {sums or 'nothing'}"
        return Step("sum", ok=same, told=told if same else f"{told}: not what the last line says")


def _total(form: TotalForm) -> Json:
    return {"currency": form.currency, "amount": form.amount, "amount_nano": form.amount_nano}
