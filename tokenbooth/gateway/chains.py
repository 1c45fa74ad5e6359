"""The levels at which each key takes money, found once for each key: quick to find again."""

from tokenbooth.core.caller import Caller
from tokenbooth.money.leases.service import Leased, LevelKey, Pool
from tokenbooth.money.ledger import service as ledger

CHAINS_MAX = 10_000

Chain = tuple[LevelKey, ...]


class Chains:
    """By key id; forgotten together when there are too many."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[str, Chain] = {}
        self._leased: dict[str, Leased] = {}

    def of(self, caller: Caller) -> Chain:
        """The caller's levels, outermost first."""
        chain = self._known.get(caller.key_id)
        if chain is None:
            if len(self._known) >= CHAINS_MAX:
                self._known.clear()
                self._leased.clear()
            chain = tuple(LevelKey(*level) for level in ledger.chain_of(caller))
            self._known[caller.key_id] = chain
        return chain

    def leased(self, caller: Caller, now_us: int) -> Leased | None:
        """The same in the pool, where all of them are leased."""
        known = self._leased.get(caller.key_id)
        if known is not None and self._pool.stands(known, now_us):
            return known
        found = self._pool.leased_at(self.of(caller), now_us)
        if found is not None:
            self._leased[caller.key_id] = found
        return found
