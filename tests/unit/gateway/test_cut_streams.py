"""Answers cut anywhere, on either side: each ends once, and each hold is resolved by the rule.

The normal run cuts at a few places of each transcript; with ``TOKENBOOTH_TEST_CUTS=1``, as in
``scripts/nightly``, it cuts at every byte, and with another number at every so many bytes.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.booth import INPUT_PICO, OUTPUT_PICO
from tests.support.caller_view import Close, View
from tests.support.cut_booth import CutBooth, Seen, Way, events_of, in_cut_booth
from tests.support.transcripts import TRANSCRIPTS, Transcript
from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.receipt import Outcome
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.dialect import Dialect
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES

EVERY_BYTES = int(os.environ.get("TOKENBOOTH_TEST_CUTS", "0"))
FEW = 4
ALL = pytest.mark.parametrize(
    "dialect", [OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES], ids=lambda each: each.name
)


def places(length: int) -> Sequence[int]:
    """Where to cut, the last byte included."""
    step = EVERY_BYTES or max(1, length // FEW)
    return sorted({*range(step // 2, length, step), max(0, length - 22), max(0, length - 1)})


def cost_nano(usage: Usage) -> int:
    return (usage.input_tokens * INPUT_PICO + usage.output_tokens * OUTPUT_PICO) // 1000


def asked_in(dialect: Dialect) -> list[Transcript]:
    return [each for each in TRANSCRIPTS if each.asked_in(dialect.name)]


async def whole_of(cut: CutBooth, transcript: Transcript) -> Seen:
    """The same answer, event by event and not cut."""
    (seen,) = [each async for each in cut.play(transcript, [Way(events_of(transcript.raw))])]
    return seen


def check_charge(seen: Seen, whole: Seen) -> None:
    """What the table of charges says of a server's answer that did not come whole."""
    usage = seen.record.usage
    assert usage is not None
    if seen.view.close is not Close.WELL:
        assert seen.record.outcome in (Outcome.ENGINE_FAILED, Outcome.REFUSED)
        assert seen.record.cost_nano == 0
        assert seen.view.error["code"]
        return
    assert seen.record.outcome is Outcome.COMPLETED
    assert seen.record.cost_nano == cost_nano(usage)
    assert seen.view.lanes == whole.view.lanes
    if usage.source is UsageSource.BOUND:
        said = sum(len(text.encode()) for text in seen.view.lanes.values())
        assert usage.output_tokens >= said
    else:
        assert whole.record.usage == usage


@ALL
def test_a_server_that_breaks_off_anywhere(tmp_path: Path, dialect: Dialect) -> None:
    async def scene(cut: CutBooth) -> None:
        closes = set()
        for transcript in asked_in(dialect):
            whole, raw = await whole_of(cut, transcript), transcript.raw
            ways = (Way((raw[:place],), broken=True) for place in places(len(raw)))
            async for seen in cut.play(transcript, ways):
                assert seen.view.begins(whole.view), (transcript.name, seen.way)
                check_charge(seen, whole)
                closes.add(seen.view.close)
        await cut.settled()
        assert closes == {Close.WELL, Close.FAILED, Close.REFUSED}

    in_cut_booth(tmp_path, dialect, scene)


@ALL
def test_an_answer_in_two_pieces_is_the_same_answer(tmp_path: Path, dialect: Dialect) -> None:
    async def scene(cut: CutBooth) -> None:
        for transcript in asked_in(dialect):
            whole, raw = await whole_of(cut, transcript), transcript.raw
            ways = (Way((raw[:place], raw[place:])) for place in places(len(raw)) if place)
            async for seen in cut.play(transcript, ways):
                assert same(seen.view, whole.view), (transcript.name, seen.way)
                assert seen.record.outcome is whole.record.outcome
                assert seen.record.usage == whole.record.usage
                assert seen.record.cost_nano == whole.record.cost_nano
        await cut.settled()

    in_cut_booth(tmp_path, dialect, scene)


def same(one: View, other: View) -> bool:
    """Whether both say the same and end the same; texts of errors name their calls."""
    said = one.close, one.lanes, one.error.get("code")
    return said == (other.close, other.lanes, other.error.get("code"))


@ALL
def test_a_caller_that_leaves_anywhere(tmp_path: Path, dialect: Dialect) -> None:
    async def scene(cut: CutBooth) -> None:
        outcomes = set()
        for transcript in asked_in(dialect):
            whole, pieces = await whole_of(cut, transcript), events_of(transcript.raw)
            if whole.view.close is Close.REFUSED:
                continue
            ways = (Way(pieces, stays_bytes=p) for p in places(len(whole.sink.body) + 1))
            paid = 0
            async for seen in cut.play(transcript, ways):
                assert seen.view.begins(whole.view), (transcript.name, seen.way.stays_bytes)
                paid = check_paid(seen, whole, paid)
                outcomes.add(seen.record.outcome)
        await cut.settled()
        assert outcomes >= {Outcome.CLIENT_GONE, Outcome.COMPLETED}

    in_cut_booth(tmp_path, dialect, scene)


def check_paid(seen: Seen, whole: Seen, paid_tokens: int) -> int:
    """Who stays longer than another never pays for less output, and who leaves never for more than
    the server would have told. Returns the output that was paid for."""
    usage, most = seen.record.usage, whole.record.usage
    assert usage is not None
    assert most is not None
    if seen.record.outcome is not Outcome.CLIENT_GONE:
        assert (seen.record.outcome, usage) == (whole.record.outcome, most)
        assert seen.record.cost_nano == whole.record.cost_nano
        return paid_tokens
    assert seen.sink.left
    assert seen.line.is_closing(), "the server is told to stop"
    assert seen.record.cost_nano == (cost_nano(usage) if usage.output_tokens else 0)
    assert paid_tokens <= usage.output_tokens
    assert whole.view.close is Close.FAILED or usage.output_tokens <= most.output_tokens
    return usage.output_tokens
