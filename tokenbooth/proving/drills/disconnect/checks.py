"""What must hold after the disconnect drill, beside the laws of every drill. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tokenbooth.proving.drills.disconnect.plan import CHUNKS, PRICE, Cut, Place
from tokenbooth.proving.drills.laws import (
    BOOK_LAWS,
    COMPLETED,
    Law,
    by_mark,
    cost_nano,
    name_of,
    one_record_each,
)
from tokenbooth.proving.observations import CallSeen, Closing, Evidence, RecordSeen, Saw

GONE = "client_gone"
CANCEL_US_MAX = 200_000


@dataclass(frozen=True, slots=True)
class CutSeen:
    """A cut as it went; ``cut_us`` is when the client hung up, ``left_us`` when the engine saw its
    own caller hang up, both ``None`` when that did not happen."""

    cut: Cut
    call: CallSeen
    cut_us: int | None
    left_us: int | None

    @property
    def awaited(self) -> bool:
        """Whether the engine must hear of it: it can tell, and it still ran."""
        return self.cut.far and self.cut.place is Place.SILENT

    @property
    def cancel_us(self) -> int | None:
        """From the client's hanging up to the server's."""
        if not self.awaited or self.cut_us is None or self.left_us is None:
            return None
        return max(0, self.left_us - self.cut_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectSaw(Saw):
    """Every cut with its call."""

    cuts: tuple[CutSeen, ...]


Seen = Evidence[DisconnectSaw]


def cuts_fell_where_planned(seen: Seen) -> Iterator[str]:
    """Each client got what it was to get before it hung up, and nothing broke."""
    for each in seen.saw.cuts:
        call, plan = each.call, each.cut.plan
        ends = {Closing.CUT} if each.cut.place is Place.SILENT else {Closing.CUT, Closing.DONE}
        if call.broken or call.closing not in ends or call.events != plan.cut_after_events:
            yield (
                f"{name_of(call)}: {call.closing.value} after {call.events} events of "
                f"{plan.cut_after_events}; {call.broken or call.error_code}"
            )


def charge_is_what_was_delivered(seen: Seen) -> Iterator[str]:
    """A cut call costs its input and the tokens that its client got, and nothing without any."""
    records = by_mark(seen.records)
    for each in seen.saw.cuts:
        found = records.get(each.cut.plan.mark, [])
        if not found and must_be_recorded(each):
            yield f"{name_of(each.call)}: no record"
        for record in found[:1]:
            yield from _wrong_charge(each, record)


def _wrong_charge(each: CutSeen, record: RecordSeen) -> Iterator[str]:
    cut, name = each.cut, name_of(each.call)
    allowed = {GONE} if cut.place is Place.SILENT else {GONE, COMPLETED}
    if record.status not in allowed:
        yield f"{name}: recorded as {record.status}"
    output_tokens = record.output_tokens or 0
    least, most = delivered_range(cut, record.status)
    if not least <= output_tokens <= most:
        yield f"{name}: {least} to {most} tokens were delivered, {output_tokens} are recorded"
    right_nano = 0
    if output_tokens:
        told = cut.input_tokens if record.status == COMPLETED else cut.charged_input_tokens
        right_nano = cost_nano(PRICE, told, output_tokens)
    if record.cost_nano != right_nano:
        yield f"{name}: cost {record.cost_nano} nano, what was delivered costs {right_nano}"


def delivered_range(cut: Cut, status: str) -> tuple[int, int]:
    """How many tokens the record may name: one number, but for a race."""
    if status == COMPLETED:
        return CHUNKS, CHUNKS
    return cut.delivered, CHUNKS if cut.place is Place.RACING else cut.delivered


def must_be_recorded(each: CutSeen) -> bool:
    """Whether the call is known to have passed the hold: the client or the engine has seen it."""
    return each.call.status == 200 or each.cut.far


def engine_is_told(seen: Seen) -> Iterator[str]:
    """Each engine that still ran saw its caller hang up, within 200 ms of the client."""
    for each in seen.saw.cuts:
        if not each.awaited:
            continue
        if each.cancel_us is None:
            yield f"{name_of(each.call)}: the engine was never left"
        elif each.cancel_us > CANCEL_US_MAX:
            yield f"{name_of(each.call)}: the engine was left after {each.cancel_us // 1000} ms"


def every_place_was_cut(seen: Seen) -> Iterator[str]:
    """The drill came to hang up where it wanted to."""
    missed = sum(each.cut_us is None for each in seen.saw.cuts)
    if missed or not seen.saw.cuts:
        yield f"{missed} of {len(seen.saw.cuts)} calls were never cut"


CHECKS: Sequence[Law[DisconnectSaw]] = (
    cuts_fell_where_planned,
    charge_is_what_was_delivered,
    engine_is_told,
    one_record_each,
    *BOOK_LAWS,
    every_place_was_cut,
)
