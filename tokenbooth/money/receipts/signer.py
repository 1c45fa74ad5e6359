"""The memory of whoever signs: the key, and the prices that were written into receipts before."""

from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices import service as prices
from tokenbooth.money.receipts.rules import price_form
from tokenbooth.money.receipts.values import BookedCall, PriceForm
from tokenbooth.signing.keys import SigningKey

PRICES_KEPT_MAX = 256


class PriceShelf:
    """Price versions never change, so each is read and written out once; bounded."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], PriceForm] = {}

    def price_of(self, op: Op, tx: Tx, call: BookedCall) -> PriceForm:
        """The lines that priced this call. Raises PRICE_UNKNOWN for a version that is gone."""
        name = (call.price_version, call.tier, call.data_terms)
        found = self._kept.get(name)
        if found is None:
            version = prices.version(op, tx, call.price_version, call.model)
            price = prices.price_in(version, ServiceTier(call.tier), DataTerms(call.data_terms))
            found = price_form(price)
            if len(self._kept) == PRICES_KEPT_MAX:
                self._kept.clear()
            self._kept[name] = found
        return found


class Signer:
    """``seed`` is the instance's own secret, 32 bytes."""

    def __init__(self, seed: bytes) -> None:
        self.key = SigningKey(seed)
        self.shelf = PriceShelf()
