"""The levels at which each key takes money, as one object for each key: quick to find again."""

from tokenbooth.core.caller import Caller
from tokenbooth.money.leases.service import LevelKey
from tokenbooth.money.ledger import service as ledger

CHAINS_MAX = 10_000

Chain = tuple[LevelKey, ...]


class Chains:
    """By key id; forgotten together when there are too many."""

    def __init__(self) -> None:
        self._known: dict[str, Chain] = {}

    def of(self, caller: Caller) -> Chain:
        """The caller's levels, outermost first."""
        chain = self._known.get(caller.key_id)
        if chain is None:
            if len(self._known) >= CHAINS_MAX:
                self._known.clear()
            chain = tuple(LevelKey(*level) for level in ledger.chain_of(caller))
            self._known[caller.key_id] = chain
        return chain
