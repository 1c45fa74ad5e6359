"""The journal as it is written: frames into memory, memory into a file, the file onto the disk.

Three steps of growing strength. ``open``, ``progress``, ``settle`` and ``whole`` fill a buffer.
``write_out`` hands it to the operating system, so that it survives the end of this process.
``sync`` makes it survive a power cut. The first two belong to one thread; ``sync`` and ``prune``
block and belong to one other thread, so that nothing but a settlement ever waits for the disk.
"""

import threading
from collections import deque
from typing import NoReturn

from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Randomness
from tokenbooth.core.problem import Problem
from tokenbooth.money.journal.rules import (
    ID_FILE,
    JOURNAL_ID_BYTES,
    decode_id,
    encode_header,
    encode_id,
    encode_mark,
    encode_record,
    replay_of,
    salt_of,
    segment_name,
    segment_number,
)
from tokenbooth.money.journal.unshipped import Live, Unshipped
from tokenbooth.money.journal.values import (
    CallFacts,
    Disk,
    FrameKind,
    Header,
    JournalStart,
    Place,
    Progress,
    Record,
    Replay,
    SettledCall,
    Settlement,
)

SEGMENTS_KEPT = 4


def identity(disk: Disk, randomness: Randomness) -> bytes:
    """The id of the journal in this directory, given when it is first used.

    Raises Problem STATE_CONFLICT where segments have lost their id file, and LEDGER_UNAVAILABLE
    where the disk fails.
    """
    try:
        return _identity(disk, randomness)
    except OSError as error:
        raise _unusable(f"the journal's id could not be kept: {error}") from error


def _identity(disk: Disk, randomness: Randomness) -> bytes:
    names = disk.list()
    if ID_FILE in names:
        journal_id = decode_id(disk.read(ID_FILE))
        if journal_id:
            return journal_id
        if not _segments(names):
            disk.remove(ID_FILE)
    if _segments(names):
        raise _damaged(Place(0, 0, 0, f"{ID_FILE} is missing or wrong"))
    journal_id = randomness.token_bytes(JOURNAL_ID_BYTES)
    file = disk.open(ID_FILE)
    disk.append(file, encode_id(journal_id))
    disk.sync(file)
    disk.close(file)
    disk.sync_directory()
    return journal_id


def read_replay(disk: Disk, journal_id: bytes) -> Replay:
    """What the directory holds; changes nothing."""
    return replay_of(journal_id, [(n, disk.read(segment_name(n))) for n in _segments(disk.list())])


def _segments(names: tuple[str, ...]) -> list[int]:
    return sorted(number for name in names if (number := segment_number(name)) is not None)


def _damaged(place: Place) -> Problem:
    return Problem(
        Code.STATE_CONFLICT,
        "The journal is damaged where it had been kept: finished charges may be missing."
        " Put back a copy of its directory, or give its money up with `tokenbooth lease forfeit`.",
        detail=f"segment {place.segment}, byte {place.offset}: {place.reason}",
    )


def _unusable(detail: str) -> Problem:
    return Problem(
        Code.LEDGER_UNAVAILABLE,
        "This server cannot keep its journal; calls are refused until that is mended.",
        detail=detail,
        retry_after_s=1,
    )


class Journal:
    """One run of one gateway process over its directory.

    ``replay`` is what earlier runs left: ship it, then ``forget`` it. ``unshipped`` are all calls
    that were not forgotten yet. Raises Problem STATE_CONFLICT for damage; a torn end is none.

    A failed write or sync breaks the journal for good: ``broken`` says why, every later call raises
    Problem LEDGER_UNAVAILABLE, and what was not durable by then never counts as durable.
    """

    def __init__(self, disk: Disk, start: JournalStart) -> None:
        self._disk = disk
        self._start = start
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._spare: int | None = None
        self._retiring: deque[int] = deque()
        self.unshipped = Unshipped()
        self._rotation_due = False
        self.broken: str | None = None
        try:
            self._begin()
        except OSError as error:
            self._break("could not be begun", error)

    def _begin(self) -> None:
        """Read what is there, make sure that it stays, and begin a segment behind it."""
        numbers = _segments(self._disk.list())
        self.replay = read_replay(self._disk, self._start.journal_id)
        if self.replay.damage:
            raise _damaged(self.replay.damage)
        self._number = max(numbers, default=0)
        for number in self.replay.empty:  # what a crash left of a segment that was to begin
            self._disk.remove(segment_name(number))
            self._disk.sync_directory()
            numbers.remove(number)
        for number in numbers:  # what was read must not vanish behind what is written next
            self._disk.sync_named(segment_name(number))
        self._segments = deque(numbers)
        for call in self.replay.calls:
            self.unshipped.add(call.facts.request_id, Live(numbers[0], None))
        self._sequence = self.durable = self.replay.last_sequence
        self._file = self._new_file()
        self._head_segment()
        self._hand_over()
        self._disk.sync(self._file)
        self.durable = self._written

    @property
    def pending(self) -> bool:
        """Whether the buffer holds what the operating system does not have yet."""
        return bool(self._buffer)

    @property
    def written(self) -> int:
        """The sequence up to which the operating system has everything."""
        return self._written

    def open(self, facts: CallFacts) -> int:
        """A call begins; returns the mark of its record, as the next three do."""
        mark = self._append(FrameKind.OPEN, facts)
        self.unshipped.add(facts.request_id, Live(self._number, facts))
        return mark

    def progress(self, progress: Progress) -> int:
        live = self.unshipped[progress.request_id]
        mark = self._append(FrameKind.PROGRESS, progress)
        live.progress = progress
        return mark

    def settle(self, settlement: Settlement) -> int:
        live = self.unshipped[settlement.request_id]
        assert live.settlement is None, "a call settles once"
        mark = self._append(FrameKind.SETTLE, settlement)
        live.settlement = settlement
        return mark

    def whole(self, call: SettledCall) -> int:
        """A call that begins and ends at once."""
        mark = self._append(FrameKind.WHOLE, call)
        live = Live(self._number, call.facts, None, call.settlement)
        self.unshipped.add(call.facts.request_id, live)
        return mark

    def write_out(self) -> None:
        """Hand the buffer to the operating system."""
        self._check()
        if self._buffer:
            if self.durable > self._marked:
                self._append_mark()
            self._hand_over()
        if self._spare is not None and self._is_full():
            self._switch(self._spare)

    def rotate(self) -> None:
        """Begin a new segment at the next ``write_out`` after the next ``sync``."""
        self._rotation_due = True

    def sync(self) -> int:
        """Make durable what was written out before; returns the highest durable mark."""
        self._check()
        with self._lock:
            written, files = self._written, (*self._retiring, self._file)
        try:
            if written > self.durable:
                for file in files:
                    self._disk.sync(file)
            for file in files[:-1]:
                self._disk.close(file)
                self._retiring.popleft()
            if self._spare is None and self._is_full():
                self._spare = self._new_file()
        except OSError as error:
            self._break("could not be made durable", error)
        self.durable = max(self.durable, written)
        return self.durable

    def forget(self, request_ids: tuple[str, ...]) -> None:
        """The ledger has these calls for good; unknown ones are let pass."""
        self.unshipped.forget(request_ids)

    @property
    def prunable(self) -> bool:
        """Whether the oldest segment holds nothing that recovery would need."""
        oldest = self._segments[0]
        present = oldest == self._number or self.durable < self._prune_mark
        return not present and not self.unshipped.needs(oldest)

    def prune(self) -> None:
        """Remove the segments that nothing needs, oldest first; blocks."""
        self._check()
        try:
            while self.prunable:
                # One by one: a gap between segments must never come back after a power cut.
                oldest = self._segments[0]
                self._disk.remove(segment_name(oldest))
                self._disk.sync_directory()
                self._segments.popleft()
                self.unshipped.removed(oldest)
        except OSError as error:
            self._break("could not be pruned", error)

    def close(self) -> None:
        """Make all durable and let go of the directory, which happens even when that fails."""
        try:
            self.write_out()
            self.sync()
        finally:
            for file in (*self._retiring, self._file, self._spare):
                if file is not None:
                    self._disk.close(file)
            self._disk.release()

    def _append(self, kind: FrameKind, record: Record) -> int:
        if self.broken is not None:
            self._check()
        mark = self._sequence + 1
        self._buffer += encode_record(kind, record, mark, self._salt)
        self._sequence = mark
        return mark

    def _append_mark(self) -> None:
        """Say what is durable by now, so that damage to it is known from a torn end."""
        self._sequence += 1
        self._marked = self.durable
        self._buffer += encode_mark(self._marked, self._sequence, self._salt)

    def _hand_over(self) -> None:
        try:
            self._disk.append(self._file, self._buffer)
        except OSError as error:
            self._break("could not be written", error)
        self._size_bytes += len(self._buffer)
        self._buffer = bytearray()
        with self._lock:
            self._written = self._sequence

    def _is_full(self) -> bool:
        return self._rotation_due or self._size_bytes >= self._start.segment_bytes_max

    def _new_file(self) -> int:
        file = self._disk.open(segment_name(self._number + 1))
        self._disk.sync_directory()
        return file

    def _switch(self, spare: int) -> None:
        """Go on in the spare file. The buffer is empty here: a frame belongs to one segment."""
        with self._lock:
            self._retiring.append(self._file)
            self._file, self._spare = spare, None
        self._head_segment()
        if len(self._segments) > SEGMENTS_KEPT:
            self._carry(self._segments[0])
            self._prune_mark = self._sequence
        self._hand_over()

    def _head_segment(self) -> None:
        # First of all, for the thread that prunes: nothing goes before this header is durable.
        self._prune_mark = self._sequence + 1
        self._number += 1
        self._segments.append(self._number)
        self._rotation_due = False
        self._size_bytes = 0
        start = self._start
        self._salt = salt_of(start.journal_id, self._number)
        self._buffer += encode_header(
            Header(start.journal_id, start.replica, start.epoch, self._number)
        )
        self._append_mark()

    def _carry(self, oldest: int) -> None:
        """Write the calls that keep the oldest segment alive once more, into this one."""
        for live in self.unshipped.moved(oldest, self._number):
            assert live.facts is not None, "of this run"
            self._append(FrameKind.OPEN, live.facts)
            if live.progress:
                self._append(FrameKind.PROGRESS, live.progress)
            if live.settlement:
                self._append(FrameKind.SETTLE, live.settlement)

    def _check(self) -> None:
        if self.broken is not None:
            raise self.refusal()

    def refusal(self) -> Problem:
        """What every call gets from a broken journal."""
        return _unusable(self.broken or "")

    def _break(self, said: str, error: OSError) -> NoReturn:
        self.broken = f"the journal {said}: {error}"
        raise self.refusal() from error
