"""Two thousand lives over the real till, journal and rounds; and six planted bugs, each found."""

import subprocess
from collections.abc import Callable

import pytest

from tokenbooth.money.journal.service import JournalDriver
from tokenbooth.money.leases.service import Pool
from tokenbooth.proving.simulator import fleet
from tokenbooth.proving.simulator.fleet import Order, play_fleet
from tokenbooth.proving.simulator.play import Player

SEEDS, OPERATIONS, WORKERS = 2_000, 200, 2
# A planted bug must show within so many lives.
PATIENCE_SEEDS = 60


def test_no_law_of_money_is_broken_and_every_listed_place_is_reached() -> None:
    found = play_fleet(Order(0, SEEDS, OPERATIONS, WORKERS), lambda so_far: None)
    broken = {f"--seed {seed}": texts for seed, texts in list(found.violations.items())[:5]}
    assert found.passed, broken
    assert (found.seeds, found.operations) == (SEEDS, SEEDS * OPERATIONS)
    assert found.unreached == ()


def test_workers_share_the_seeds_and_play_what_one_process_plays() -> None:
    told: list[int] = []
    found = play_fleet(Order(10, 5, 40, 2), lambda so_far: told.append(so_far.seeds))
    assert told == [1, 2, 3, 4, 5]
    assert (found.seeds, found.operations) == (5, 5 * 40)
    alone = play_fleet(Order(10, 5, 40, 1), lambda so_far: None)
    assert (alone.calls, alone.counts) == (found.calls, found.counts)


def test_a_worker_that_breaks_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "WORKER", "tokenbooth.proving.simulator.nothing")
    real = subprocess.Popen

    def quiet(*words, **options):
        return real(*words, **options, stderr=subprocess.DEVNULL)

    monkeypatch.setattr(subprocess, "Popen", quiet)
    with pytest.raises(RuntimeError, match="status 1"):
        play_fleet(Order(0, 2, 1, 2), lambda so_far: None)


def forget_to_release(planted: pytest.MonkeyPatch) -> None:
    """Leaked hold: a call that costs nothing keeps its money."""
    real = Pool.release

    def release(self, held, cost_nano, now_us):
        if cost_nano:
            real(self, held, cost_nano, now_us)

    planted.setattr(Pool, "release", release)


def settle_twice(planted: pytest.MonkeyPatch) -> None:
    """Double settle: what is told to the ledger again is booked again."""
    planted.setattr(leases_records(), "states", lambda tx, request_ids: {})
    real = Pool.tell

    def tell(self, call):
        real(self, call)
        real(self, call)

    planted.setattr(Pool, "tell", tell)


def release_early(planted: pytest.MonkeyPatch) -> None:
    """Early release: money that a running call holds is given back with the idle rest."""

    def give_back(self):
        returned_nano = self.free_nano + self.held_nano
        self.free_nano = -self.held_nano
        self.granted_nano -= returned_nano
        return returned_nano

    planted.setattr(level_class(), "give_back", give_back)


def spend_what_was_returned(planted: pytest.MonkeyPatch) -> None:
    """Stale lease: what went back to the ledger is spent here all the same."""

    def give_back(self):
        return self.free_nano

    planted.setattr(level_class(), "give_back", give_back)


def drop_the_batch(planted: pytest.MonkeyPatch) -> None:
    """Lost batch: a round whose answer was lost is not told again."""
    real = Pool.next_round

    def next_round(self, *arguments, **options):
        self._asked = None
        return real(self, *arguments, **options)

    planted.setattr(Pool, "next_round", next_round)


def stay_in_the_window(planted: pytest.MonkeyPatch) -> None:
    """Wrong window: yesterday's lease is spent today."""
    real = level_class().renew

    def renew(self, *arguments, **options):
        real(self, *arguments, **options)
        self.ends_us = None

    planted.setattr(level_class(), "renew", renew)


def tell_too_soon(planted: pytest.MonkeyPatch) -> None:
    """The caller is told of the end before its settlement is durable."""

    whole = JournalDriver.settle

    def settle(self, call):
        whole(self, call)
        told = self._loop.create_future()
        told.set_result(None)
        return told

    planted.setattr(JournalDriver, "settle", settle)


def charge_nobody_twice_over(planted: pytest.MonkeyPatch) -> None:
    """Fencing dropped: a process whose epoch is over goes on to book."""
    from tokenbooth.money.leases import sql

    real = sql.next_round

    def next_round(tx, replica_id, epoch, number):
        known = sql.replica(tx, replica_id)
        return real(tx, replica_id, known.epoch, known.rounds + 1)

    planted.setattr(sql, "next_round", next_round)


def leases_records():
    from tokenbooth.money.leases.records import sql

    return sql


def level_class():
    from tokenbooth.money.leases.level import Level

    return Level


PLANTED = [
    settle_twice,
    forget_to_release,
    release_early,
    spend_what_was_returned,
    drop_the_batch,
    stay_in_the_window,
    tell_too_soon,
    charge_nobody_twice_over,
]


@pytest.fixture(scope="module")
def player() -> Player:
    return Player()


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as planted:
        plant(planted)
        seed = next(s for s in range(PATIENCE_SEEDS) if player.play(s, OPERATIONS).violations)
        assert player.play(seed, OPERATIONS).violations
    assert player.play(seed, OPERATIONS).violations == ()
