"""Power cuts: whatever the disk loses, synced records are there and recovery succeeds."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.journal import JOURNAL_ID, begun, facts, progress, settlement
from tokenbooth.money.journal.file import Journal, read_replay
from tokenbooth.money.journal.rules import segment_name
from tokenbooth.money.journal.values import Replay
from tokenbooth.proving.draw import Draw
from tokenbooth.proving.simulated_disk import SimulatedDisk

Seen = dict[str, tuple[int, bool]]
"""For each call: the cost of its newest progress (0 without), and whether it was settled."""


def seen(replay: Replay) -> Seen:
    return {
        call.facts.request_id: (
            call.progress.cost_nano if call.progress else 0,
            call.settlement is not None,
        )
        for call in replay.calls
    }


def grows(less: Seen, more: Seen) -> bool:
    """Whether ``more`` has everything that ``less`` has."""
    return all(
        name in more and more[name][0] >= cost and more[name][1] >= ended
        for name, (cost, ended) in less.items()
    )


class Player:
    """Makes calls move on at random and remembers what recovery owes them."""

    def __init__(self, disk: SimulatedDisk, draw: Draw) -> None:
        self.disk, self.draw = disk, draw
        self.epoch = 0
        self.calls = 0
        self.running: dict[str, int] = {}
        self.forgotten: set[str] = set()
        self.buffered: Seen = {}
        self.durable: Seen = {}
        self.begin()

    def begin(self) -> None:
        self.epoch += 1
        self.journal = begun(self.disk, epoch=self.epoch, segment_bytes_max=6_000)
        self.running = {}
        replayed = seen(self.journal.replay)
        self.buffered = {n: v for n, v in replayed.items() if n not in self.forgotten}
        self.durable = dict(self.buffered)

    def step(self) -> None:
        journal, kind = self.journal, self.draw.below(10)
        if kind < 2 or not self.running:
            self.calls += 1
            name = f"req_{self.calls}"
            journal.open(facts(name))
            self.running[name] = 0
            self.buffered[name] = (0, False)
        elif kind < 5:
            name = self.draw.one_of(sorted(self.running))
            self.running[name] += 1
            journal.progress(progress(name, cost_nano=self.running[name]))
            self.buffered[name] = (self.running[name], False)
        elif kind < 6:
            name = self.draw.one_of(sorted(self.running))
            self.buffered[name] = (self.running.pop(name), True)
            journal.settle(settlement(name))
        elif kind < 8:
            journal.write_out()
        elif kind == 8:
            journal.write_out()
            before = dict(self.buffered)
            journal.sync()
            self.durable = before
        else:
            self.ship()

    def ship(self) -> None:
        names = tuple(n for n in self.durable if self.durable[n][1] and self.draw.chance(70))
        self.journal.forget(names)
        self.forgotten.update(names)
        for name in names:
            del self.durable[name]
            del self.buffered[name]
        self.journal.prune()

    def check_recovery(self) -> Replay:
        """Nothing durable is missing, nothing appears that was never written."""
        replay = read_replay(self.disk, JOURNAL_ID)
        assert replay.damage is None
        found = {n: v for n, v in seen(replay).items() if n not in self.forgotten}
        assert grows(self.durable, found)
        assert grows(found, self.buffered)
        return replay


@given(st.integers(0, 2**32))
def test_random_lives_with_power_cuts_and_kills(seed: int) -> None:
    draw = Draw(seed, "power")
    disk = SimulatedDisk()
    player = Player(disk, draw)
    for _ in range(6):
        for _ in range(draw.below(40)):
            player.step()
        if draw.chance(70):
            disk.power_cut(draw.below)
        else:
            disk.kill()
        replay = player.check_recovery()
        player.begin()
        assert player.journal.replay == replay


@given(st.integers(0, 2**32))
def test_a_start_that_is_cut_itself_loses_nothing(seed: int) -> None:
    draw = Draw(seed, "twice")
    disk = SimulatedDisk()
    player = Player(disk, draw)
    for _ in range(30):
        player.step()
    disk.power_cut(draw.below)
    first = seen(player.check_recovery())
    for _ in range(3):
        player.begin()
        disk.power_cut(draw.below)
        assert seen(read_replay(disk, JOURNAL_ID)) == first


def lived_through() -> tuple[SimulatedDisk, Journal, Seen, dict[str, int]]:
    """Three segments with one synced state; the sizes of all files at that moment."""
    disk = SimulatedDisk()
    journal = begun(disk, segment_bytes_max=1_500)
    for number in range(9):
        name = f"req_{number}"
        journal.open(facts(name))
        journal.progress(progress(name))
        if number % 3:
            journal.settle(settlement(name))
        journal.write_out()
        journal.sync()
    durable = seen(read_replay(disk, JOURNAL_ID))
    sizes = {name: len(disk.content(name)) for name in disk.list()}
    for number in range(9, 12):
        journal.open(facts(f"req_{number}"))
        journal.settle(settlement(f"req_{number}"))
        journal.write_out()
    assert len(disk.list()) > 2
    return disk, journal, durable, sizes


def test_the_files_cut_at_every_byte_after_the_last_sync() -> None:
    disk, _, durable, sizes = lived_through()
    whole = seen(read_replay(disk, JOURNAL_ID))
    cuts = 0
    for name in disk.list():
        content = disk.content(name)
        for end in range(sizes[name], len(content)):
            disk.overwrite(name, content[:end])
            replay = read_replay(disk, JOURNAL_ID)
            assert replay.damage is None
            assert grows(durable, seen(replay))
            assert grows(seen(replay), whole)
            cuts += 1
        disk.overwrite(name, content)
    assert cuts > 1_000


@given(st.binary(max_size=9_000), st.data())
def test_rubbish_after_the_last_sync_changes_nothing(rubbish: bytes, draw: st.DataObject) -> None:
    disk, _, durable, sizes = lived_through()
    last = max(name for name in disk.list() if sizes[name])
    kept = disk.content(last)[: draw.draw(st.integers(sizes[last], len(disk.content(last))))]
    disk.overwrite(last, kept + rubbish)
    replay = read_replay(disk, JOURNAL_ID)
    assert replay.damage is None
    assert grows(durable, seen(replay))
    disk.kill()
    again = begun(disk, epoch=2)
    again.open(facts("req_new"))
    again.write_out()
    assert "req_new" in seen(read_replay(disk, JOURNAL_ID))


def test_a_flipped_bit_anywhere_before_the_last_mark_is_damage() -> None:
    disk, journal, _, sizes = lived_through()
    journal.sync()
    journal.open(facts("req_last"))
    journal.write_out()
    for name in disk.list()[:-1]:
        content = bytearray(disk.content(name))
        for place in range(0, sizes[name], 7):
            content[place] ^= 16
            disk.overwrite(name, bytes(content))
            assert read_replay(disk, JOURNAL_ID).damage is not None, (name, place)
            content[place] ^= 16
        disk.overwrite(name, bytes(content))
    assert read_replay(disk, JOURNAL_ID).damage is None


def test_a_lost_segment_in_the_middle_is_damage() -> None:
    disk, journal, _, _ = lived_through()
    journal.sync()
    disk.remove(segment_name(2))
    assert read_replay(disk, JOURNAL_ID).damage is not None
