"""The journal on a simulated disk: segments, what may be removed, and what a failing disk does."""

import errno
from collections.abc import Callable

import pytest

from tests.support.journal import (
    JOURNAL_ID,
    begun,
    facts,
    progress,
    settlement,
    whole_call,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.journal.file import SEGMENTS_KEPT, Journal, identity, read_replay
from tokenbooth.money.journal.rules import ID_FILE, encode_id, segment_name
from tokenbooth.proving.simulated_disk import SimulatedDisk


class Dice:
    """Satisfies ``Randomness``: other bytes each time."""

    def __init__(self) -> None:
        self.thrown = 0

    def token_bytes(self, count: int) -> bytes:
        self.thrown += 1
        return bytes([self.thrown]) * count


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk()


def found(disk: SimulatedDisk) -> dict[str, tuple[bool, bool]]:
    """For each call that a later process would find: whether it has progress, and an end."""
    replay = read_replay(disk, JOURNAL_ID)
    assert replay.damage is None
    return {
        call.facts.request_id: (call.progress is not None, call.settlement is not None)
        for call in replay.calls
    }


def kept(journal: Journal) -> None:
    journal.write_out()
    journal.sync()


def roll(journal: Journal) -> None:
    """Go on in a new segment."""
    journal.rotate()
    kept(journal)
    kept(journal)


def test_what_stands_in_the_buffer_alone_dies_with_the_process(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    whole_call(journal, "req_1")
    assert journal.pending
    assert found(disk) == {}
    journal.write_out()
    assert not journal.pending
    assert found(disk) == {"req_1": (True, True)}


def test_marks_rise_and_a_sync_covers_what_was_written_out(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    first, last = whole_call(journal, "req_1"), journal.open(facts("req_2"))
    assert first < last
    assert journal.sync() < first
    journal.write_out()
    assert journal.written >= last
    assert journal.durable < first
    assert journal.sync() >= last
    assert journal.durable == journal.sync()


def test_a_sync_with_nothing_new_leaves_the_disk_alone(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    whole_call(journal, "req_1")
    kept(journal)
    before = disk.syncs
    kept(journal)
    assert disk.syncs == before


def test_a_second_run_finds_the_calls_of_the_first_and_writes_behind_them(
    disk: SimulatedDisk,
) -> None:
    journal = begun(disk, epoch=1)
    whole_call(journal, "req_1")
    journal.open(facts("req_2"))
    journal.write_out()
    disk.kill()
    second = begun(disk, epoch=2)
    assert [(c.facts.request_id, c.epoch) for c in second.replay.calls] == [
        ("req_1", 1),
        ("req_2", 1),
    ]
    second.open(facts("req_3"))
    second.write_out()
    assert [c.epoch for c in read_replay(disk, JOURNAL_ID).calls] == [1, 1, 2]


def test_what_a_run_found_is_durable_before_it_writes_on(disk: SimulatedDisk) -> None:
    """Otherwise a power cut could take the records before it and leave the ones behind."""
    whole_call(journal := begun(disk), "req_1")
    journal.write_out()
    disk.kill()
    begun(disk, epoch=2)
    disk.power_cut(lambda bound: 0)
    assert found(disk) == {"req_1": (True, True)}


def test_a_call_opens_once_and_settles_once(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    whole_call(journal, "req_1")
    with pytest.raises(AssertionError, match="settles once"):
        journal.settle(settlement("req_1"))
    with pytest.raises(AssertionError, match="opens once"):
        journal.open(facts("req_1"))


def test_a_segment_goes_when_all_its_calls_are_shipped(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    whole_call(journal, "req_1")
    roll(journal)
    assert not journal.prunable
    journal.forget(("req_1", "never heard of"))
    assert len(journal.unshipped) == 0
    assert journal.prunable
    journal.prune()
    assert disk.list() == (segment_name(2),)
    assert found(disk) == {}


def test_the_oldest_segment_goes_first_and_the_present_one_stays(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    whole_call(journal, "req_1")
    roll(journal)
    whole_call(journal, "req_2")
    roll(journal)
    journal.forget(("req_2",))
    journal.prune()
    assert len(disk.list()) == 3
    journal.forget(("req_1",))
    journal.prune()
    assert disk.list() == (segment_name(3),)
    assert not journal.prunable


def test_nothing_is_removed_before_the_segment_after_it_is_durable(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    whole_call(journal, "req_1")
    journal.rotate()
    kept(journal)
    journal.forget(("req_1",))
    journal.write_out()  # goes on in the next segment, of which nothing is durable yet
    assert not journal.prunable
    journal.sync()
    assert journal.prunable


def test_a_long_call_is_written_again_so_that_old_segments_can_go(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    journal.open(facts("open"))
    journal.open(facts("moving"))
    journal.progress(progress("moving"))
    whole_call(journal, "unshipped")
    for _ in range(SEGMENTS_KEPT + 1):
        roll(journal)
        journal.prune()
    assert segment_name(1) not in disk.list()
    assert found(disk) == {
        "open": (False, False),
        "moving": (True, False),
        "unshipped": (True, True),
    }
    journal.progress(progress("open"))
    journal.settle(settlement("moving"))
    journal.write_out()
    assert found(disk)["open"] == (True, False)
    assert found(disk)["moving"] == (True, True)
    journal.forget(("open", "moving", "unshipped"))
    kept(journal)
    journal.prune()
    assert len(disk.list()) == 1


def test_a_call_of_an_earlier_run_keeps_its_segment_until_it_is_shipped(
    disk: SimulatedDisk,
) -> None:
    whole_call(first := begun(disk), "req_1")
    first.write_out()
    disk.kill()
    second = begun(disk, epoch=2)
    for _ in range(SEGMENTS_KEPT + 2):
        roll(second)
        second.prune()
    assert segment_name(1) in disk.list()
    assert len(second.unshipped) == 1
    second.forget(("req_1",))
    second.prune()
    assert segment_name(1) not in disk.list()


def test_a_segment_that_grew_too_large_is_followed_by_another(disk: SimulatedDisk) -> None:
    journal = begun(disk, segment_bytes_max=2_000)
    for number in range(20):
        whole_call(journal, f"req_{number}")
        kept(journal)
    sizes = [len(disk.content(name)) for name in disk.list()]
    assert len(sizes) > 5
    assert max(sizes) < 2_000 + 2 * 1_500
    assert len(found(disk)) == 20


def test_without_a_sync_the_segment_just_grows(disk: SimulatedDisk) -> None:
    """The file to go on in is made by the thread that syncs: nobody else waits for the disk."""
    journal = begun(disk, segment_bytes_max=500)
    for number in range(10):
        whole_call(journal, f"req_{number}")
        journal.write_out()
    assert disk.list() == (segment_name(1),)


def test_a_leftover_empty_segment_is_removed_before_anything_is_written(
    disk: SimulatedDisk,
) -> None:
    """Were it left, the removal of the segment before it would make it look like a loss."""
    journal = begun(disk)
    whole_call(journal, "req_1")
    journal.rotate()
    kept(journal)  # the next file exists, and nothing was written to it
    disk.kill()
    second = begun(disk, epoch=2)
    assert disk.list() == (segment_name(1), segment_name(3))
    assert [call.facts.request_id for call in second.replay.calls] == ["req_1"]
    second.forget(("req_1",))
    second.prune()
    assert disk.list() == (segment_name(3),)
    assert found(disk) == {}


def test_a_segment_whose_first_bytes_were_lost_is_removed_too(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    whole_call(journal, "req_1")
    journal.rotate()
    kept(journal)
    whole_call(journal, "req_2")
    journal.write_out()  # into the next file, whose beginning the power cut takes
    disk.power_cut(lambda bound: 0)
    disk.overwrite(segment_name(2), b"\0" * 4096 + b"what had been behind it")
    begun(disk, epoch=2)
    assert disk.list() == (segment_name(1), segment_name(3))
    assert found(disk) == {"req_1": (True, True)}


def test_closing_keeps_everything(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    whole_call(journal, "req_1")
    journal.rotate()
    journal.sync()
    journal.close()
    disk.power_cut(lambda bound: 0)
    assert found(disk) == {"req_1": (True, True)}


def broken_write(journal: Journal, disk: SimulatedDisk) -> None:
    disk.fail_next("append", errno.EIO)
    journal.write_out()


def broken_sync(journal: Journal, disk: SimulatedDisk) -> None:
    journal.write_out()
    disk.fail_next("sync")
    journal.sync()


def full_disk(journal: Journal, disk: SimulatedDisk) -> None:
    disk.space_bytes = 700
    journal.write_out()


def no_new_segment(journal: Journal, disk: SimulatedDisk) -> None:
    journal.rotate()
    disk.fail_next("open", errno.EMFILE)
    kept(journal)


def no_removal(journal: Journal, disk: SimulatedDisk) -> None:
    roll(journal)
    journal.forget(("req_1",))
    disk.fail_next("remove", errno.EROFS)
    journal.prune()


FAILURES = [
    (broken_write, "could not be written"),
    (broken_sync, "could not be made durable"),
    (full_disk, "no space left"),
    (no_new_segment, "could not be made durable"),
    (no_removal, "could not be pruned"),
]


@pytest.mark.parametrize(("fail", "said"), FAILURES)
def test_a_failing_disk_breaks_the_journal_by_name_and_for_good(
    disk: SimulatedDisk, fail: Callable[[Journal, SimulatedDisk], None], said: str
) -> None:
    journal = begun(disk)
    whole_call(journal, "req_1")
    with pytest.raises(Problem) as caught:
        fail(journal, disk)
    assert caught.value.code is Code.LEDGER_UNAVAILABLE
    assert caught.value.retry_after_s == 1
    assert said in caught.value.detail
    assert journal.broken == caught.value.detail
    disk.space_bytes = None
    durable = journal.durable
    for verb in (
        lambda: journal.open(facts("req_9")),
        journal.write_out,
        journal.sync,
        journal.prune,
        journal.close,
    ):
        with pytest.raises(Problem) as again:
            verb()
        assert again.value.code is Code.LEDGER_UNAVAILABLE
    assert journal.durable == durable


def test_nothing_counts_as_durable_after_a_sync_that_failed(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    mark = whole_call(journal, "req_1")
    with pytest.raises(Problem):
        broken_sync(journal, disk)
    assert journal.durable < mark
    disk.power_cut(lambda bound: 0)
    assert found(disk) == {}


def test_a_full_disk_tears_the_end_and_keeps_the_rest(disk: SimulatedDisk) -> None:
    journal = begun(disk)
    whole_call(journal, "req_1")
    kept(journal)
    disk.space_bytes = len(disk.content(segment_name(1))) + 100
    whole_call(journal, "req_2")
    with pytest.raises(Problem):
        journal.write_out()
    disk.kill()
    replay = read_replay(disk, JOURNAL_ID)
    assert [call.facts.request_id for call in replay.calls] == ["req_1"]
    assert len(replay.torn) == 1
    disk.space_bytes = None
    again = begun(disk, epoch=2)
    whole_call(again, "req_3")
    again.write_out()
    assert set(found(disk)) == {"req_1", "req_3"}


def test_a_journal_that_cannot_begin_says_so(disk: SimulatedDisk) -> None:
    disk.fail_next("open", errno.EROFS)
    with pytest.raises(Problem) as caught:
        begun(disk)
    assert caught.value.code is Code.LEDGER_UNAVAILABLE
    assert "could not be begun" in caught.value.detail


def test_a_bit_that_flips_in_what_was_durable_stops_the_start_by_name(
    disk: SimulatedDisk,
) -> None:
    journal = begun(disk)
    whole_call(journal, "req_1")
    kept(journal)
    whole_call(journal, "req_2")
    kept(journal)
    disk.kill()
    content = bytearray(disk.content(segment_name(1)))
    content[200] ^= 4
    disk.overwrite(segment_name(1), bytes(content))
    with pytest.raises(Problem, match="damaged") as caught:
        begun(disk, epoch=2)
    assert caught.value.code is Code.STATE_CONFLICT
    assert "segment 1, byte" in caught.value.detail
    assert "forfeit" in caught.value.public


def test_a_journal_gets_its_id_once(disk: SimulatedDisk) -> None:
    dice = Dice()
    first = identity(disk, dice)
    assert identity(disk, dice) == first
    disk.power_cut(lambda bound: 0)
    assert identity(disk, dice) == first
    assert dice.thrown == 1
    assert identity(SimulatedDisk(), dice) != first


def test_an_id_file_cut_at_its_making_is_made_anew(disk: SimulatedDisk) -> None:
    disk.overwrite(ID_FILE, encode_id(JOURNAL_ID)[:-3])
    assert identity(disk, Dice()) == b"\1" * 16


@pytest.mark.parametrize("left", [None, b"rubbish"])
def test_segments_without_their_id_are_damage(disk: SimulatedDisk, left: bytes | None) -> None:
    begun(disk)
    if left is not None:
        disk.overwrite(ID_FILE, left)
    with pytest.raises(Problem, match="damaged") as caught:
        identity(disk, Dice())
    assert ID_FILE in caught.value.detail


@pytest.mark.parametrize("verb", ["open", "append", "sync", "sync_directory"])
def test_an_id_that_cannot_be_kept_is_a_named_refusal(disk: SimulatedDisk, verb: str) -> None:
    disk.fail_next(verb)
    with pytest.raises(Problem) as caught:
        identity(disk, Dice())
    assert caught.value.code is Code.LEDGER_UNAVAILABLE
    assert "id could not be kept" in caught.value.detail
    disk.kill()
    assert len(identity(disk, Dice())) == 16
