"""The cover of one call: when it asks the till, and what it writes down as delivered."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.gateway.call_cover import CallCover
from tokenbooth.gateway.options import TillOptions
from tokenbooth.gateway.rules import Delivery
from tokenbooth.money.prices.service import Meter, Price


@dataclass
class Book:
    """A till that covers ``gives`` tokens and remembers what it is told."""

    gives: int = 0
    more: bool = True
    asked: list[int] = field(default_factory=list)
    told: list[tuple[str, Usage, int | None]] = field(default_factory=list)

    def covered(self, request_id: str, output_tokens: int) -> int:
        self.asked.append(output_tokens)
        return self.gives

    async def extend(self, request_id: str, output_tokens: int) -> bool:
        self.asked.append(output_tokens)
        return self.more

    def progress(self, request_id: str, usage: Usage, first_output_us: int | None) -> None:
        self.told.append((request_id, usage, first_output_us))


PRICE = Price("pv_1", "demo", {Meter.INPUT: 1, Meter.OUTPUT: 1})


@dataclass(frozen=True)
class HoldOf:
    request_id: str = "req_1"
    input_tokens: int = 7
    held_output_tokens: int = 10
    price: Price = PRICE


class Time:
    us = 0

    def __call__(self) -> int:
        return self.us


def cover(book: Book, *, grows: bool = True, exact: bool = True, now: Any = None) -> CallCover:
    options = TillOptions(progress_tokens=64, progress_every_ms=250)
    return CallCover(book, HoldOf(), options, grows=grows, exact=exact, now=now or Time())  # type: ignore[arg-type]


def test_what_is_held_is_covered_without_a_question():
    book = Book()
    assert cover(book).covers(10)
    assert book.asked == []


def test_a_limit_held_whole_covers_everything_within_it():
    book = Book()
    assert cover(book, grows=False).covers(10_000)
    assert book.asked == []


@pytest.mark.parametrize(("gives", "covered"), [(10, False), (11, True), (99, True)])
def test_more_is_asked_of_the_till_and_remembered(gives: int, covered: bool):
    book = Book(gives=gives)
    mine = cover(book)
    assert mine.covers(11) is covered
    assert mine.covers(gives)
    assert book.asked == [11]


@pytest.mark.parametrize("more", [True, False])
def test_waiting_for_more_changes_what_is_covered_only_when_it_came(more: bool):
    book = Book(gives=10, more=more)
    mine = cover(book)
    assert asyncio.run(mine.extend(30)) is more
    assert mine.covers(30) is more


def test_progress_lags_a_step_and_is_written_every_so_many_tokens():
    book, time = Book(), Time()
    mine = cover(book, now=time)
    for tokens in range(1, 130):
        mine.delivered(Delivery(output_tokens=tokens), 5)
    assert [usage.output_tokens for _, usage, _ in book.told] == [64, 128]
    assert {first for *_, first in book.told} == {5}
    assert book.told[0][1] == Usage(7, 64)


def test_progress_is_written_every_so_often_too():
    book, time = Book(), Time()
    mine = cover(book, now=time)
    for step in range(4):
        time.us = step * 250_000
        mine.delivered(Delivery(output_tokens=step + 1), None)
    assert [usage.output_tokens for _, usage, _ in book.told] == [1, 2, 3]


def test_uncounted_output_is_written_as_a_bound():
    book, time = Book(), Time()
    mine = cover(book, exact=False, now=time)
    time.us = 10**9
    mine.delivered(Delivery(uncounted_bytes=3), None)
    mine.delivered(Delivery(uncounted_bytes=9), None)
    ((_, usage, _),) = book.told
    assert usage == Usage(7, 3, source=UsageSource.BOUND)
