"""Frozen nouns of the price book."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.noun import noun
from tokenbooth.core.terms import DataTerms, ServiceTier

DEFAULT_BOOK = "default"
DEFAULT_CURRENCY = "USD"


class Meter(StrEnum):
    """What is counted.

    ``CACHED_INPUT`` and ``CACHE_WRITE`` are the parts of the input that a prefix cache served and
    kept, ``REASONING`` is a part of the output. ``CALL`` is one for each charged call.
    """

    INPUT = "input"
    CACHED_INPUT = "cached_input"
    CACHE_WRITE = "cache_write"
    OUTPUT = "output"
    REASONING = "reasoning"
    IMAGE = "image"
    AUDIO_S = "audio_s"
    VIDEO_S = "video_s"
    SEARCH = "search"
    CALL = "call"


REQUIRED_METERS = frozenset({Meter.INPUT, Meter.OUTPUT})

Lines = Mapping[Meter, int]
"""Pico-units of the currency for one metered unit; INPUT and OUTPUT always stand in it."""


@noun
class Uses:
    """The most that one call can use of what is not a token; seconds are whole."""

    images: int = 0
    audio_s: int = 0
    video_s: int = 0
    searches: int = 0


NO_USES = Uses()


@dataclass(frozen=True, slots=True)
class Step:
    """The prices of a whole call whose input has at least ``context_min_tokens``."""

    context_min_tokens: int
    lines: Lines


@dataclass(frozen=True, slots=True)
class Tariff:
    """All prices for one tier under one kind of data terms.

    ``steps`` rise by their ``context_min_tokens``, which of the first is 0.
    """

    tier: ServiceTier
    data_terms: DataTerms
    steps: tuple[Step, ...]


@noun
class Rates:
    """One step as the rules compute with it: every meter has a price, in pico-units.

    ``context_max_tokens`` is the longest input for which these prices hold.
    """

    context_min_tokens: int
    context_max_tokens: int
    input: int
    cached_input: int
    cache_write: int
    output: int
    reasoning: int
    image: int
    audio_s: int
    video_s: int
    search: int
    call: int
    input_worst: int
    output_worst: int


@noun
class Price:
    """One immutable version, resolved for one call.

    ``lines`` are those of the first context step, ``steps`` the dearer (or cheaper) ones above it.
    A part of the input without a line costs as input, reasoning without one as output, and any
    other meter without a line nothing. ``uses`` bounds the worst case. The price version is the
    identity; ``rates`` follow from the rest.
    """

    version_id: str
    model: str
    lines: Lines
    steps: tuple[Step, ...] = ()
    currency: str = DEFAULT_CURRENCY
    tier: ServiceTier = ServiceTier.STANDARD
    data_terms: DataTerms = DataTerms.PRIVATE
    uses: Uses = NO_USES
    rates: tuple[Rates, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        steps = (Step(0, self.lines), *self.steps)
        ends = (*(step.context_min_tokens - 1 for step in self.steps), NANO_MAX)
        rates = tuple(_rates(step, end) for step, end in zip(steps, ends, strict=True))
        object.__setattr__(self, "rates", rates)


@dataclass(frozen=True, slots=True)
class PriceAsk:
    """A plain price: pico-units per token; 1.25 per million tokens is 1_250_000."""

    model: str
    input_pico: int
    output_pico: int
    cached_input_pico: int | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """A list of prices in one currency, for ever. The default book has no row and no author."""

    id: str
    name: str
    currency: str


DEFAULT = Book(DEFAULT_BOOK, DEFAULT_BOOK, DEFAULT_CURRENCY)


@dataclass(frozen=True, slots=True)
class VersionAsk:
    """Everything that a new version of a model's price in this book shall say."""

    book: Book
    model: str
    tariffs: tuple[Tariff, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceVersion:
    """What one model costs in one book, from ``effective_us`` until the next version there.

    ``prices`` are the tariffs for a call that uses nothing but tokens. ``sequence`` counts the
    versions of the model in all books.
    """

    id: str
    model: str
    book_id: str
    currency: str
    sequence: int
    author: str
    effective_us: int
    tariffs: tuple[Tariff, ...]
    prices: tuple[Price, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        prices = tuple(
            Price(
                version_id=self.id,
                model=self.model,
                lines=tariff.steps[0].lines,
                steps=tariff.steps[1:],
                currency=self.currency,
                tier=tariff.tier,
                data_terms=tariff.data_terms,
            )
            for tariff in self.tariffs
        )
        object.__setattr__(self, "prices", prices)


@noun
class PriceQuestion:
    """Who wants to know what a call of this model costs, on which terms, with how many uses."""

    model: str
    org_id: str
    tier: ServiceTier = ServiceTier.STANDARD
    data_terms: DataTerms = DataTerms.PRIVATE
    uses: Uses = NO_USES


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLock:
    """An organization pays this version of a model's price, whatever is published.

    ``from_us`` is inside the span, ``until_us`` is not; ``None`` is without end. ``sequence``
    counts the organization's locks on the model.
    """

    org_id: str
    model: str
    sequence: int
    version_id: str
    from_us: int
    until_us: int | None


def _rates(step: Step, context_max_tokens: int) -> Rates:
    lines = step.lines
    plain, output = lines[Meter.INPUT], lines[Meter.OUTPUT]
    cached = lines.get(Meter.CACHED_INPUT, plain)
    written = lines.get(Meter.CACHE_WRITE, plain)
    reasoning = lines.get(Meter.REASONING, output)
    return Rates(
        context_min_tokens=step.context_min_tokens,
        context_max_tokens=context_max_tokens,
        input=plain,
        cached_input=cached,
        cache_write=written,
        output=output,
        reasoning=reasoning,
        image=lines.get(Meter.IMAGE, 0),
        audio_s=lines.get(Meter.AUDIO_S, 0),
        video_s=lines.get(Meter.VIDEO_S, 0),
        search=lines.get(Meter.SEARCH, 0),
        call=lines.get(Meter.CALL, 0),
        input_worst=max(plain, cached, written),
        output_worst=max(output, reasoning),
    )
