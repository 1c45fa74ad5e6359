"""The figures of billing: what a call costs with money and without. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tokenbooth.proving.bench.billing.plan import (
    BOOKKEEPER,
    CLIENT,
    DATABASE,
    GATEWAY,
    BillingOptions,
    Load,
    Side,
    SideBooks,
    TurnSeen,
)
from tokenbooth.proving.bench.figures import US_PER_MS, Pairs, us_per_call

CPU_GOAL_US = 50
FIRST_GOAL_US = 200
US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingReport:
    """``turns`` alternate between the sides, with as many of each for every load."""

    options: BillingOptions
    store: str
    synced: bool
    machine_load: str
    turns: tuple[TurnSeen, ...]
    books: tuple[SideBooks, ...]

    @property
    def exact(self) -> bool:
        """Whether every call was answered, and booked to the nano."""
        answered = not any(turn.failed for turn in self.turns)
        return answered and all(each.exact for each in self.books)

    def cpu_us(self, load: Load, name: str = GATEWAY) -> Pairs:
        """CPU of one call in that kind of processes, billed and not."""
        return self._pairs(load, lambda turn: us_per_call(turn.ran_ns.get(name, 0), turn.calls))

    def first_us(self, load: Load) -> Pairs:
        """Median time to the first event."""
        return self._pairs(load, lambda turn: turn.first_us[0])

    def _pairs(self, load: Load, figure: Callable[[TurnSeen], float]) -> Pairs:
        on, off = (
            tuple(figure(turn) for turn in self.turns if (turn.load, turn.side) == (load, side))
            for side in (Side.ON, Side.OFF)
        )
        return Pairs(on, off)

    def document(self) -> dict[str, object]:
        """JSON-ready; times are in microseconds."""
        return {
            "object": "bench",
            "bench": "billing",
            "exact": self.exact,
            "store": self.store,
            "synced": self.synced,
            "bookkeeper": self.options.bookkeeper,
            "seconds": self.options.seconds,
            "turns": self.options.turns,
            "calls_per_s": self.options.calls_per_s,
            "calls_at_once": self.options.calls_at_once,
            "machine_load": self.machine_load,
            "goals": {"cpu_us": CPU_GOAL_US, "first_us": FIRST_GOAL_US},
            "loads": {load.value: self._load_document(load) for load in Load},
            "books": [_books_document(each) for each in self.books],
        }

    def _load_document(self, load: Load) -> dict[str, object]:
        turns = [turn for turn in self.turns if turn.load is load]
        return {
            "calls": {side.value: _calls(turns, side) for side in Side},
            "failed": sum(turn.failed for turn in turns),
            "unsent": sum(turn.unsent for turn in turns),
            "calls_per_s": {side.value: _rate(turns, side) for side in Side},
            "cpu_us": {
                name: _pair_document(self.cpu_us(load, name))
                for name in (GATEWAY, BOOKKEEPER, CLIENT, DATABASE)
            },
            "first_us": _pair_document(self.first_us(load)),
            "first_p99_us": {
                side.value: max(turn.first_us[1] for turn in turns if turn.side is side)
                for side in Side
            },
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        for load in Load:
            cpu, first = self.cpu_us(load), self.first_us(load)
            (on, off), (first_on, first_off) = cpu.medians, first.medians
            unsent = sum(turn.unsent for turn in self.turns if turn.load is load)
            late = f" ({unsent} of them were never sent: too much for this machine)"
            yield _title(load, self.options) + (late if unsent else "")
            yield (
                f"  gateway CPU       on {on:8.1f}   off {off:8.1f}   billing"
                f" {cpu.difference:+8.1f} us per call (spread {cpu.spread:.1f})"
            )
            for name in (BOOKKEEPER, CLIENT, DATABASE):
                on, off = self.cpu_us(load, name).medians
                yield f"  {name:10} CPU    on {on:8.1f}   off {off:8.1f}"
            yield (
                f"  first event p50   on {first_on / US_PER_MS:8.3f}   off"
                f" {first_off / US_PER_MS:8.3f}   billing {first.difference / US_PER_MS:+8.3f} ms"
                f" (spread {first.spread / US_PER_MS:.3f})"
            )
        booked = sum(each.books.calls for each in self.books)
        verdict = "every call booked to the nano" if self.exact else "NOT EXACT"
        yield f"{booked} calls booked, {verdict}; load of the machine {self.machine_load}"


def _title(load: Load, options: BillingOptions) -> str:
    if load is Load.RATE:
        return f"{options.calls_per_s} streamed calls per second"
    kind = "streamed" if load.stream else "whole"
    return f"{options.calls_at_once} {kind} calls at once"


def _pair_document(pairs: Pairs) -> dict[str, object]:
    on, off = pairs.medians
    return {
        "on": on,
        "off": off,
        "difference": pairs.difference,
        "spread": pairs.spread,
        "turns": [list(pairs.first), list(pairs.second)],
    }


def _calls(turns: Sequence[TurnSeen], side: Side) -> int:
    return sum(turn.calls for turn in turns if turn.side is side)


def _rate(turns: Sequence[TurnSeen], side: Side) -> int:
    wall_us = sum(turn.wall_us for turn in turns if turn.side is side)
    return _calls(turns, side) * US_PER_S // wall_us


def _books_document(side: SideBooks) -> dict[str, object]:
    return {
        "side": side.side.value,
        "exact": side.exact,
        "calls": side.calls,
        "records": side.books.calls,
        "charges_nano": side.books.charges_nano,
        "spent_nano": side.books.spent_nano,
        "problems": list(side.books.problems),
    }
