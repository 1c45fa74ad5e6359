"""Many calls that find too little money in one round."""

import pytest

from tests.support.bank import CALLER, Bank
from tokenbooth.money.leases import sql
from tokenbooth.money.leases.service import LevelKey, Verdict, Waiter
from tokenbooth.money.leases.values import Others
from tokenbooth.money.ledger import service as ledger

CHAIN = tuple(LevelKey(*level) for level in ledger.chain_of(CALLER))
CROWD = 50


@pytest.fixture
def short(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> tuple[Bank, list[str]]:
    """Another replica holds nearly all; and the limits of which anybody asked who has answered."""
    bank.price(1000, 2000)
    bank.fund(1000)
    bank.hold("req_1", on="replica_b", output_tokens_max=400)
    asked: list[str] = []
    real = sql.others

    def counted(tx: object, replica_id: str, limit_id: str, silent_us: int) -> Others | None:
        asked.append(limit_id)
        return real(tx, replica_id, limit_id, silent_us)  # type: ignore[arg-type]

    monkeypatch.setattr(sql, "others", counted)
    return bank, asked


def test_a_crowd_that_finds_too_little_asks_once(short: tuple[Bank, list[str]]) -> None:
    bank, asked = short
    replica = bank.replica()
    waiters = [Waiter(CHAIN, 120, runs=False) for _ in range(CROWD)]
    for waiter in waiters:
        replica.queue.add(waiter)
    replica.round()
    assert asked == [f"balance:{CALLER.org_id}"]
    assert {replica.queue.verdict(w, replica.pool.levels(CHAIN, 0)) for w in waiters} == {
        Verdict.WAIT
    }
    bank.answer(but="replica_a")
    replica.round()
    assert len(asked) == 2
    assert {replica.queue.verdict(w, replica.pool.levels(CHAIN, 0)) for w in waiters} == {
        Verdict.SHORT
    }
