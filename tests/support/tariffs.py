"""Random prices and usages, and what they cost by another arithmetic: exact fractions of a unit.

Nothing of the product's own rules is used here but its nouns.
"""

from collections.abc import Mapping
from fractions import Fraction
from random import Random

from tokenbooth.core.delta import Usage
from tokenbooth.money.prices.values import Meter, Price, Step, Uses

FALLBACK = {
    Meter.CACHED_INPUT: Meter.INPUT,
    Meter.CACHE_WRITE: Meter.INPUT,
    Meter.REASONING: Meter.OUTPUT,
}
PER_UNIT = 10**12
NANO = 10**9
ODD_PICOS = (0, 1, 499, 500, 501, 999, 1000, 1500, 2500, 10**6, 4_250_000)


def lines_of(**picos: int) -> dict[Meter, int]:
    return {Meter(name): pico for name, pico in picos.items()}


def price_of(*above: Step, uses: Uses | None = None, **picos: int) -> Price:
    """Of model ``m``; ``above`` are the context steps over the first."""
    return Price("price_1", "m", lines_of(**picos), above, uses=uses or Uses())


def fair_nano(price: Price, usage: Usage) -> int:
    """What the usage costs: every meter's count times its price, as one fraction, rounded once.

    Python rounds a fraction half to even.
    """
    steps = [Step(0, price.lines), *price.steps]
    lines = max(
        (step for step in steps if step.context_min_tokens <= usage.input_tokens),
        key=lambda step: step.context_min_tokens,
    ).lines
    total = Fraction(0)
    for meter, count in fair_counts(usage).items():
        if count:
            total += count * unit_price(lines, meter)
    return round(total * NANO)


def fair_counts(usage: Usage) -> dict[Meter, int]:
    """How many units of each meter; a part never counts for more than its whole."""
    cached = min(usage.cached_input_tokens or 0, usage.input_tokens)
    written = min(usage.cache_write_tokens, usage.input_tokens - cached)
    reasoning = min(usage.reasoning_tokens, usage.output_tokens)
    return {
        Meter.INPUT: usage.input_tokens - cached - written,
        Meter.CACHED_INPUT: cached,
        Meter.CACHE_WRITE: written,
        Meter.OUTPUT: usage.output_tokens - reasoning,
        Meter.REASONING: reasoning,
        Meter.IMAGE: usage.images,
        Meter.AUDIO_S: usage.audio_s,
        Meter.VIDEO_S: usage.video_s,
        Meter.SEARCH: usage.searches,
        Meter.CALL: 1,
    }


def unit_price(lines: Mapping[Meter, int], meter: Meter) -> Fraction:
    """Of one unit, in units of the currency."""
    if meter in lines:
        return Fraction(lines[meter], PER_UNIT)
    whole = FALLBACK.get(meter)
    return Fraction(0) if whole is None else Fraction(lines[whole], PER_UNIT)


class Dealer:
    """Deals prices and usages from a seed: many small and odd ones, some very large."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def price(self, uses: Uses | None = None) -> Price:
        """Up to three context steps, each naming the same meters."""
        rare = [meter for meter in Meter if meter not in (Meter.INPUT, Meter.OUTPUT)]
        named = [Meter.INPUT, Meter.OUTPUT, *self._random.sample(rare, self._random.randrange(9))]
        leasts = sorted(self._random.sample(range(1, 400), self._random.randrange(4)))
        steps = [Step(least, self._lines(named)) for least in leasts]
        return Price("price_1", "m", self._lines(named), tuple(steps), uses=uses or Uses())

    def usage(self) -> Usage:
        """Parts may pass their wholes; a cached count may be untold."""
        return Usage(
            input_tokens=self._count(),
            output_tokens=self._count(),
            cached_input_tokens=self._random.choice([None, self._count()]),
            reasoning_tokens=self._count(),
            cache_write_tokens=self._count(),
            images=self._few(),
            audio_s=self._few(),
            video_s=self._few(),
            searches=self._few(),
        )

    def within(self, input_tokens: int, output_tokens: int, uses: Uses) -> Usage:
        """A usage that a call of at most so much can have."""
        chosen = self._random
        used_in, used_out = chosen.randint(0, input_tokens), chosen.randint(0, output_tokens)
        cached = chosen.randint(0, used_in)
        return Usage(
            input_tokens=used_in,
            output_tokens=used_out,
            cached_input_tokens=cached,
            reasoning_tokens=chosen.randint(0, used_out),
            cache_write_tokens=chosen.randint(0, used_in - cached),
            images=chosen.randint(0, uses.images),
            audio_s=chosen.randint(0, uses.audio_s),
            video_s=chosen.randint(0, uses.video_s),
            searches=chosen.randint(0, uses.searches),
        )

    def uses(self) -> Uses:
        return Uses(self._few(), self._few(), self._few(), self._few())

    def count(self) -> int:
        return self._count()

    def _lines(self, meters: list[Meter]) -> dict[Meter, int]:
        return {meter: self._pico() for meter in meters}

    def _pico(self) -> int:
        if self._random.random() < 0.4:
            return self._random.choice(ODD_PICOS)
        return self._random.randrange(10 ** self._random.randint(1, 14))

    def _count(self) -> int:
        return self._random.randrange(10 ** self._random.randint(0, 7) + 1)

    def _few(self) -> int:
        return self._random.choice((0, 0, 0, 1, 2, 60, 3601))
