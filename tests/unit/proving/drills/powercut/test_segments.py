"""The drill's own reader of journals agrees with the product's, and never cuts what was kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.journal import facts, progress, settlement
from tokenbooth.money.journal.rules import HEADER_BYTES as PRODUCT_HEADER_BYTES
from tokenbooth.money.journal.rules import (
    encode_header,
    encode_mark,
    encode_record,
    replay_of,
    salt_of,
)
from tokenbooth.money.journal.values import FrameKind, Header, SettledCall
from tokenbooth.proving.draw import Draw
from tokenbooth.proving.drills.powercut.segments import (
    GARBAGE_BYTES_MAX,
    HEADER_BYTES,
    MARK,
    OPEN,
    PROGRESS,
    SETTLE,
    WHOLE,
    floor_of,
    frames,
    tear_of,
)

JOURNAL_ID = bytes(range(16))
SALT = salt_of(JOURNAL_ID, 1)


def whole(name: str) -> SettledCall:
    return SettledCall(facts(name), settlement(name), 1)


MAKERS = {OPEN: facts, PROGRESS: progress, SETTLE: settlement, WHOLE: whole}


@dataclass
class Written:
    """A segment as the product writes it; ``ends`` are the offsets behind its records."""

    content: bytes
    ends: list[int]


def written(records: list[tuple[int, str | int]]) -> Written:
    """Kind and call of each record, or what a mark calls durable; the first mark is there."""
    content = encode_header(Header(JOURNAL_ID, "main", 1, 1))
    ends = []
    for sequence, (kind, about) in enumerate([(MARK, 0), *records], start=1):
        if kind == MARK:
            content += encode_mark(int(about), sequence, SALT)
        else:
            record = MAKERS[kind](str(about))
            content += encode_record(FrameKind(kind), record, sequence, SALT)
        ends.append(len(content))
    return Written(content, ends)


CALLS = ("a", "b", "c")
RECORDS: list[tuple[int, str | int]] = [
    (OPEN, "a"),
    (PROGRESS, "a"),
    (OPEN, "b"),
    (SETTLE, "a"),
    (OPEN, "c"),
    (SETTLE, "b"),
    (PROGRESS, "c"),
    (WHOLE, "d"),
]
FILE = written(RECORDS)


def test_the_header_is_as_long_as_it_is_written() -> None:
    assert HEADER_BYTES == PRODUCT_HEADER_BYTES


def test_every_record_is_read_as_it_was_written() -> None:
    found = frames(FILE.content)
    assert [frame.end for frame in found] == FILE.ends
    assert [frame.sequence for frame in found] == list(range(1, len(RECORDS) + 2))
    assert [(frame.kind, frame.request_id) for frame in found[1:]] == RECORDS


@given(st.integers(0, len(FILE.content)))
def test_half_a_record_is_none(cut: int) -> None:
    found = frames(FILE.content[:cut])
    assert [frame.end for frame in found] == [end for end in FILE.ends if end <= cut]


@pytest.mark.parametrize(
    ("finished", "place"),
    [((), 0), (("a",), 4), (("b",), 6), (("a", "b"), 6), (("d",), 8), (("stranger",), 0)],
)
def test_what_its_caller_knows_to_be_over_is_kept(finished: tuple[str, ...], place: int) -> None:
    assert floor_of(frames(FILE.content), finished) == FILE.ends[place]


@pytest.mark.parametrize("durable", range(len(RECORDS) + 2))
def test_what_a_mark_calls_durable_is_kept(durable: int) -> None:
    marked = written([*RECORDS, (MARK, durable)])
    place = max(durable - 1, 0)
    assert floor_of(frames(marked.content), ()) == marked.ends[place]


def test_an_empty_file_has_nothing_to_keep() -> None:
    assert frames(b"") == ()
    assert floor_of((), ()) == HEADER_BYTES
    header = FILE.content[:HEADER_BYTES]
    assert tear_of(header, (), Draw(1, "x")).lost == 0


def torn(seed: int, finished: tuple[str, ...]) -> Iterator[bytes]:
    draw = Draw(seed, "tears")
    for _ in range(20):
        tear = tear_of(FILE.content, finished, draw)
        yield FILE.content[: tear.offset] + tear.garbage


@given(st.integers(0, 10**6), st.sets(st.sampled_from(("a", "b"))))
@settings(max_examples=60)
def test_the_product_recovers_from_every_tear_and_keeps_what_was_over(
    seed: int, over: set[str]
) -> None:
    for content in torn(seed, tuple(over)):
        replay = replay_of(JOURNAL_ID, [(1, content)])
        assert replay.damage is None
        kept = {call.facts.request_id for call in replay.calls if call.settlement is not None}
        assert over <= kept


def test_tears_fall_on_every_record_with_garbage_and_without() -> None:
    draw = Draw(2, "tears")
    tears = [tear_of(FILE.content, ("a",), draw) for _ in range(4_000)]
    floor = floor_of(frames(FILE.content), ("a",))
    assert {tear.lost for tear in tears} == set(range(len(RECORDS) - 3))
    assert min(tear.offset for tear in tears) < floor + 40
    assert max(tear.offset for tear in tears) > len(FILE.content) - 40
    lengths = {len(tear.garbage) for tear in tears}
    assert 0 in lengths
    assert max(lengths) > GARBAGE_BYTES_MAX // 2
    assert all(floor <= tear.offset <= len(FILE.content) for tear in tears)


def test_a_tear_is_a_function_of_the_seed() -> None:
    assert list(torn(5, ())) == list(torn(5, ()))
    assert list(torn(5, ())) != list(torn(6, ()))


def test_the_newest_file_is_torn_and_the_others_are_left(tmp_path: Path) -> None:
    from tokenbooth.proving.drills.powercut.drill import tear

    for number in (1, 2, 10):
        (tmp_path / f"segment-{number:010d}.log").write_bytes(FILE.content)
    (tmp_path / "journal.id").write_text("id")
    removed, garbage, lost = tear(tmp_path, {"a"}, Draw(3, "tears"))
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    newest = after.pop("segment-0000000010.log")
    assert set(after.values()) == {FILE.content, b"id"}
    assert len(newest) == len(FILE.content) - removed + garbage
    assert lost == sum(end > len(FILE.content) - removed for end in FILE.ends)
