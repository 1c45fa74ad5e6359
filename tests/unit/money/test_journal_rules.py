"""The format byte by byte, and what recovery makes of calls that were cut."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.support.journal import (
    FACTS,
    JOURNAL_ID,
    PROGRESS,
    RECORDS,
    SETTLEMENTS,
    facts,
    progress,
    settlement,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.money.journal import rules
from tokenbooth.money.journal.values import (
    CallFacts,
    FrameKind,
    Header,
    Progress,
    Record,
    Replay,
    ReplayedCall,
    SettledCall,
    Settlement,
)

HEADER = Header(JOURNAL_ID, "booth-1", 3, 1)
SALT = rules.salt_of(JOURNAL_ID, 1)


def kind_of(record: Record) -> FrameKind:
    match record:
        case CallFacts():
            return FrameKind.OPEN
        case Progress():
            return FrameKind.PROGRESS
        case Settlement():
            return FrameKind.SETTLE
        case SettledCall():
            return FrameKind.WHOLE


def segment(*frames: bytes, number: int = 1, epoch: int = 3) -> tuple[int, bytes]:
    header = Header(JOURNAL_ID, "booth-1", epoch, number)
    return number, rules.encode_header(header) + b"".join(frames)


def frame(record: Record, sequence: int, number: int = 1) -> bytes:
    salt = rules.salt_of(JOURNAL_ID, number)
    return rules.encode_record(kind_of(record), record, sequence, salt)


def mark(durable: int, sequence: int, number: int = 1) -> bytes:
    return rules.encode_mark(durable, sequence, rules.salt_of(JOURNAL_ID, number))


def replayed(*segments: tuple[int, bytes]) -> Replay:
    return rules.replay_of(JOURNAL_ID, segments)


@given(FACTS, PROGRESS, SETTLEMENTS)
def test_what_is_written_is_what_is_read(
    opened: CallFacts, moved: Progress, ended: rules.Settlement
) -> None:
    moved = structs.replace(moved, request_id=opened.request_id)
    ended = structs.replace(ended, request_id=opened.request_id)
    found = replayed(segment(frame(opened, 7), frame(moved, 8), frame(ended, 9)))
    assert found == Replay((ReplayedCall(opened, moved, ended, 3),), 9, (), None)


@given(RECORDS, st.integers(1, 2**63), st.data())
def test_every_flipped_bit_of_a_frame_is_noticed(
    record: Record, sequence: int, draw: st.DataObject
) -> None:
    number, whole = segment(frame(record, sequence))
    place = draw.draw(st.integers(8 * rules.HEADER_BYTES, 8 * len(whole) - 1))
    flipped = bytearray(whole)
    flipped[place // 8] ^= 1 << place % 8
    found = replayed((number, bytes(flipped)))
    assert found.calls == ()
    assert [place.offset for place in found.torn] == [rules.HEADER_BYTES]


def test_every_flipped_bit_of_a_header_is_noticed() -> None:
    whole = rules.encode_header(HEADER)
    assert rules.decode_header(whole) == HEADER
    for place in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        assert rules.decode_header(bytes(flipped)) is None


@given(st.integers(0, 2**64 - 1), st.integers(1, 10**10 - 1), st.text(min_size=1, max_size=16))
def test_a_header_tells_replica_epoch_and_number(epoch: int, number: int, replica: str) -> None:
    header = Header(JOURNAL_ID, replica.replace("\0", "x"), epoch, number)
    assert rules.decode_header(rules.encode_header(header)) == header


@pytest.mark.parametrize("replica", ["", "x" * 65, "a\0b", "é" * 33])
def test_a_replica_name_that_does_not_fit_is_refused(replica: str) -> None:
    with pytest.raises(ValueError, match="1 to 64 bytes"):
        rules.encode_header(replace(HEADER, replica=replica))


def test_another_format_version_is_named_and_not_guessed_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(rules, "FORMAT_VERSION", 3)
        content = segment(frame(facts(), 1))
    with pytest.raises(Problem, match="format 3; this program reads up to 2") as caught:
        replayed(content)
    assert caught.value.code is Code.STATE_CONFLICT


@given(st.binary(min_size=16, max_size=16))
def test_the_id_file_round_trips(journal_id: bytes) -> None:
    assert rules.decode_id(rules.encode_id(journal_id)) == journal_id


def test_an_id_file_with_any_wrong_byte_is_no_id_file() -> None:
    content = rules.encode_id(JOURNAL_ID)
    for place in range(len(content)):
        assert rules.decode_id(content[:place]) is None
        assert rules.decode_id(content[:place] + b"\xff" + content[place + 1 :]) is None
    assert rules.decode_id(content.replace(b"00", b"0g")) is None


@given(st.integers(0, 10**10 - 1))
def test_names_of_segments_sort_as_their_numbers(number: int) -> None:
    assert rules.segment_number(rules.segment_name(number)) == number
    assert rules.segment_name(number) <= rules.segment_name(10**10 - 1)


@pytest.mark.parametrize("name", ["journal.id", "segment-1.log", "segment-.log", "segment-x.log"])
def test_other_files_are_no_segments(name: str) -> None:
    assert rules.segment_number(name) is None


def test_a_record_above_the_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="above 65536"):
        frame(structs.replace(facts(), model="x" * 65_536), 1)


def test_reading_stops_where_the_bytes_stop_being_right() -> None:
    good, last = frame(facts("req_1"), 1), frame(facts("req_2"), 2)
    for cut in range(len(last)):
        found = replayed(segment(good, last[:cut]))
        assert [call.facts.request_id for call in found.calls] == ["req_1"]
        assert found.damage is None
        assert [place.offset for place in found.torn] == (
            [rules.HEADER_BYTES + len(good)] if cut else []
        )


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        (b"\0" * 40, "impossible length"),
        (b"\xff" * 40, "impossible length"),
        (b"\1" * 4 + b"\x20\0\0\0" + b"\1" * 60, "checksum"),
        (b"\1" * 4 + b"\x20\1\0\0" + b"\1" * 60, "ends inside"),
        (b"\1" * 5, "ends inside"),
    ],
)
def test_a_tail_of_rubbish_is_named(tail: bytes, said: str) -> None:
    (place,) = replayed(segment(frame(facts(), 1), tail)).torn
    assert said in place.reason
    assert place.byte_count == len(tail)


def test_a_frame_counts_in_its_own_file_only() -> None:
    assert replayed(segment(frame(facts(), 1, number=2))).calls == ()
    other = rules.replay_of(bytes(16), [segment(frame(facts(), 1))])
    assert other.damage is not None
    assert "another journal" in other.damage.reason
    renamed = replayed((2, segment(frame(facts(), 1))[1]))
    assert renamed.damage is not None


def test_a_later_segment_goes_on_where_a_torn_one_ended() -> None:
    torn = segment(frame(facts("req_1"), 1), frame(facts("lost"), 2)[:-1])
    found = replayed(torn, segment(frame(facts("req_2"), 2, 2), number=2, epoch=4))
    assert [(c.facts.request_id, c.epoch) for c in found.calls] == [("req_1", 3), ("req_2", 4)]
    assert found.damage is None
    assert len(found.torn) == 1


def test_nothing_behind_a_gap_is_believed() -> None:
    first = segment(frame(facts("req_1"), 1))
    found = replayed(first, segment(frame(facts("req_3"), 3, 2), number=2))
    assert [call.facts.request_id for call in found.calls] == ["req_1"]
    assert "missing" in found.torn[0].reason
    assert found.damage is None


def test_a_mark_behind_the_gap_tells_damage_from_a_cut() -> None:
    """Record 2 had been durable: to lose it is not what a power cut does."""
    lost = bytearray(frame(facts("req_2"), 2))
    lost[-1] ^= 1
    whole = segment(frame(facts("req_1"), 1), bytes(lost), mark(2, 3))
    found = replayed(whole)
    assert found.damage is not None
    assert found.damage == found.torn[0]
    unsynced = replayed(segment(frame(facts("req_1"), 1), bytes(lost), mark(1, 3)))
    assert unsynced.damage is None


def test_a_lost_segment_is_damage_and_the_first_missing_place_is_named() -> None:
    one = segment(frame(facts("req_1"), 1), b"rubbish")
    three = segment(mark(2, 3, 3), frame(facts("req_3"), 4, 3), number=3)
    damage = replayed(one, three).damage
    assert damage is not None
    assert (damage.segment, damage.offset) == (1, len(one[1]) - len(b"rubbish"))


def test_an_earlier_torn_end_is_not_blamed_for_later_damage() -> None:
    one = segment(frame(facts("req_1"), 1), b"rubbish")
    two = segment(
        frame(facts("req_2"), 2, 2), b"\0", frame(facts("x"), 3, 2), mark(3, 4, 2), number=2
    )
    found = replayed(one, two).damage
    assert found is not None
    assert found.segment == 2


def test_marks_are_found_behind_a_broken_header_too() -> None:
    number, whole = segment(frame(facts(), 1), mark(1, 2))
    found = replayed((number, b"X" + whole[1:]))
    assert found.damage is not None
    assert "header" in found.damage.reason


def test_a_file_that_was_only_created_is_neither_torn_nor_damaged() -> None:
    assert replayed(segment(frame(facts(), 1)), (2, b"")).torn == ()
    assert replayed() == Replay((), 0, (), None)


@pytest.mark.parametrize("kind", [FrameKind.OPEN, 9])
def test_a_record_whose_checksum_is_right_but_says_nothing_is_damage(kind: int) -> None:
    strange = rules._frame(kind, b"\x80", 1, SALT)
    damage = replayed(segment(strange, frame(facts(), 2))).damage
    assert damage is not None
    assert "not readable" in damage.reason
    assert damage.byte_count == len(strange)


def test_only_the_first_of_several_faults_is_reported() -> None:
    strange = rules._frame(9, b"\x80", 1, SALT)
    first = replayed(segment(strange, rules._frame(9, b"\x80", 2, SALT)), segment(number=3))
    assert first.damage is not None
    assert first.damage.offset == rules.HEADER_BYTES
    both = replayed((5, segment()[1]), (6, segment()[1]))
    assert both.damage is not None
    assert both.damage.segment == 5


def test_a_call_written_again_is_one_call_with_its_newest_progress_and_first_end() -> None:
    ended, other = settlement(cost_nano=400), settlement(cost_nano=401)
    found = replayed(
        segment(frame(facts(), 1), frame(progress(cost_nano=1), 2)),
        segment(
            frame(structs.replace(facts(), held_nano=5), 3, 2),
            frame(progress(cost_nano=2), 4, 2),
            frame(ended, 5, 2),
            frame(other, 6, 2),
            number=2,
            epoch=9,
        ),
    )
    assert found.calls == (ReplayedCall(facts(), progress(cost_nano=2), ended, 3),)


def test_records_of_a_call_whose_beginning_was_pruned_are_let_pass() -> None:
    found = replayed(segment(frame(progress("gone"), 5), frame(settlement("gone"), 6)))
    assert found.calls == ()
    assert found.last_sequence == 6


def of(*calls: ReplayedCall) -> Replay:
    return Replay(calls, 9, (), None)


def test_a_settled_call_is_shipped_as_it_stands() -> None:
    call = ReplayedCall(facts(), progress(), settlement(), 3)
    (shipped,) = rules.settled_calls(of(call), 9_000)
    assert (shipped.facts, shipped.settlement, shipped.epoch) == (facts(), settlement(), 3)


def test_a_cut_stream_costs_what_its_last_progress_says() -> None:
    call = ReplayedCall(facts(), progress(cost_nano=300, held_nano=1_500), None, 3)
    end = rules.settled_calls(of(call), 9_000)[0].settlement
    assert (end.outcome, end.charged) == (Outcome.INTERRUPTED, True)
    assert (end.cost_nano, end.loss_nano, end.held_nano) == (300, 0, 1_500)
    assert end.usage == Usage(10, 3)
    assert (end.started_us, end.first_output_us, end.ended_us) == (5_000, 6_000, 9_000)
    assert "what had been sent" in end.reason


@pytest.mark.parametrize(
    ("call", "said", "held_nano"),
    [
        (ReplayedCall(facts(), None, None, 1), "before any output", 1_000),
        (ReplayedCall(facts(stream=False), None, None, 1), "nothing had been sent", 1_000),
        (ReplayedCall(facts(stream=False), progress(held_nano=2), None, 1), "nothing had been", 2),
    ],
)
def test_a_cut_call_of_which_nothing_was_sent_costs_nothing(
    call: ReplayedCall, said: str, held_nano: int
) -> None:
    end = rules.interrupted(call, 9_000)
    assert (end.cost_nano, end.loss_nano, end.charged) == (0, 0, False)
    assert end.usage == Usage(0, 0, source=UsageSource.BOUND)
    assert end.held_nano == held_nano
    assert end.first_output_us is None
    assert said in end.reason


def test_a_call_does_not_end_before_it_began_whatever_the_clock_says() -> None:
    assert rules.interrupted(ReplayedCall(facts(), None, None, 1), 17).ended_us == 5_000


@given(
    st.builds(ReplayedCall, FACTS, st.none() | PROGRESS, st.none(), st.integers(1, 9)), st.data()
)
def test_an_interruption_never_costs_more_than_was_held(
    call: ReplayedCall, draw: st.DataObject
) -> None:
    end = rules.interrupted(call, draw.draw(st.integers(0, 2**60)))
    assert 0 <= end.cost_nano <= end.held_nano
    delivered = call.progress.cost_nano if call.progress and call.facts.stream else 0
    assert end.cost_nano + end.loss_nano == delivered
