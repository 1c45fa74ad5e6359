"""The disk in memory: what it must keep, what it may lose, and that it does lose it."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.proving.draw import Draw
from tokenbooth.proving.simulated_disk import PAGE_BYTES, SECTOR_BYTES, SimulatedDisk


def filled(content: bytes, *, synced: int = 0) -> SimulatedDisk:
    """One file ``f``, of which the first ``synced`` bytes are on the platter."""
    disk = SimulatedDisk()
    file = disk.open("f")
    disk.sync_directory()
    disk.append(file, content[:synced])
    disk.sync(file)
    disk.append(file, content[synced:])
    return disk


def test_the_end_of_a_process_loses_nothing() -> None:
    disk = filled(b"abc", synced=1)
    disk.kill()
    assert disk.read("f") == b"abc"


def test_the_worst_cut_takes_all_that_was_not_synced() -> None:
    disk = filled(b"abcdef", synced=2)
    disk.power_cut(lambda bound: 0)
    assert disk.read("f") == b"ab"


def test_the_kindest_cut_takes_nothing() -> None:
    disk = filled(b"x" * 10_000)
    fates = iter([1, 1, 1, 0])
    disk.power_cut(lambda bound: next(fates))
    assert disk.read("f") == b"x" * 10_000


def test_a_page_may_arrive_without_the_one_before_it() -> None:
    disk = filled(b"x" * (2 * PAGE_BYTES))
    fates = iter([0, 1, 0])
    disk.power_cut(lambda bound: next(fates))
    assert disk.read("f") == b"\0" * PAGE_BYTES + b"x" * PAGE_BYTES


def test_a_page_may_arrive_in_part() -> None:
    disk = filled(b"x" * PAGE_BYTES)
    fates = iter([2, 3, 0])
    disk.power_cut(lambda bound: next(fates))
    assert disk.read("f") == b"x" * 3 * SECTOR_BYTES


def test_a_length_may_arrive_without_its_content() -> None:
    disk = filled(b"abcdef", synced=2)
    fates = iter([0, 1, 4])
    disk.power_cut(lambda bound: next(fates))
    assert disk.read("f") == b"ab\0\0\0\0"


@given(st.binary(max_size=20_000), st.integers(0, 20_000), st.integers(0, 2**32))
def test_synced_bytes_stay_and_others_are_theirs_or_zero(
    content: bytes, synced: int, seed: int
) -> None:
    disk = filled(content, synced=synced)
    disk.power_cut(Draw(seed, "cut").below)
    left = disk.read("f")
    assert left[: min(synced, len(content))] == content[:synced]
    assert len(left) <= len(content)
    assert all(mine in (0, real) for mine, real in zip(left, content, strict=False))


def test_a_name_that_was_not_synced_may_vanish_with_its_file() -> None:
    for choice, names in ((0, ()), (1, ("f",))):
        disk = SimulatedDisk()
        disk.open("f")
        disk.power_cut(lambda bound, choice=choice: min(choice, bound - 1))
        assert disk.list() == names


def test_a_removed_name_may_come_back_until_the_directory_is_synced() -> None:
    disk = filled(b"abc", synced=3)
    disk.remove("f")
    assert disk.list() == ()
    disk.power_cut(lambda bound: 1)
    assert disk.read("f") == b"abc"
    disk.remove("f")
    disk.sync_directory()
    disk.power_cut(lambda bound: 1)
    assert disk.list() == ()


def test_a_number_of_an_ended_process_is_worth_nothing() -> None:
    disk = SimulatedDisk()
    file = disk.open("f")
    disk.release()
    with pytest.raises(KeyError):
        disk.append(file, b"x")


def test_a_file_of_an_earlier_process_can_be_synced_by_name() -> None:
    disk = filled(b"abc")
    disk.kill()
    disk.sync_named("f")
    disk.power_cut(lambda bound: 0)
    assert disk.read("f") == b"abc"


@pytest.mark.parametrize("verb", ["open", "append", "sync", "read", "remove", "sync_directory"])
def test_a_verb_fails_once_when_it_is_told_to(verb: str) -> None:
    disk = SimulatedDisk()
    file = disk.open("f")
    calls = {
        "open": lambda: disk.open("g"),
        "append": lambda: disk.append(file, b"x"),
        "sync": lambda: disk.sync(file),
        "read": lambda: disk.read("f"),
        "remove": lambda: disk.remove("f"),
        "sync_directory": disk.sync_directory,
    }
    disk.fail_next(verb, errno.EROFS)
    with pytest.raises(OSError, match=verb) as caught:
        calls[verb]()
    assert caught.value.errno == errno.EROFS
    calls[verb]()


def test_a_full_disk_takes_what_fits() -> None:
    disk = SimulatedDisk()
    disk.space_bytes = 5
    file = disk.open("f")
    disk.append(file, b"abc")
    with pytest.raises(OSError, match="no space"):
        disk.append(file, b"defg")
    assert disk.read("f") == b"abcde"


def test_a_closed_file_keeps_its_content() -> None:
    disk = SimulatedDisk()
    file = disk.open("f")
    disk.append(file, b"abc")
    disk.close(file)
    assert disk.content("f") == b"abc"
    with pytest.raises(FileExistsError):
        disk.open("f")
