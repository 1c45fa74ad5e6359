"""What the benchmark of billing does, and what it saw. Frozen nouns."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.proving.bench.books import Books
from tokenbooth.proving.observations import PriceSeen
from tokenbooth.proving.stage import KeyPlan, ModelPlan, OrgPlan, StagePlan

ORG, KEY, MODEL = "main", "bench", "scripted"
CREDIT_NANO = 10**15
ANSWER_TOKENS = 16
PROMPT = "Count the cost of one call, please."
GATEWAY, BOOKKEEPER, CLIENT, DATABASE = "gateway", "bookkeeper", "client", "database"


class Side(StrEnum):
    """Whether calls are billed."""

    ON = "on"
    OFF = "off"


class Load(StrEnum):
    """WHOLE, CLOSED: always so many calls at once, answered whole or streamed. RATE: a streamed
    call every so often."""

    WHOLE = "closed_loop_whole"
    CLOSED = "closed_loop"
    RATE = "fixed_rate"

    @property
    def stream(self) -> bool:
        return self is not Load.WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingOptions:
    """``turns`` of each side and load, ``seconds`` each, in alternation.

    After each turn ``tail_s`` more are counted, in which the gateway tells the ledger and signs.
    ``store_url`` of ``None`` is a SQLite file; ``free_store_url`` is that of the side without
    money. ``bookkeeper``: the ledger is told by a process of its own. Raises ValueError for what
    cannot be measured.
    """

    seconds: float = 5.0
    turns: int = 4
    calls_per_s: int = 200
    calls_at_once: int = 64
    tail_s: float = 1.2
    store_url: str | None = None
    free_store_url: str | None = None
    bookkeeper: bool = True

    def __post_init__(self) -> None:
        if (self.store_url is None) != (self.free_store_url is None):
            raise ValueError("each side needs a database of its own: give both, or neither")
        if self.store_url is not None and self.store_url == self.free_store_url:
            raise ValueError("both sides have the same database")
        if min(self.turns, self.calls_per_s, self.calls_at_once) < 1 or self.seconds <= 0:
            raise ValueError("turns, calls and seconds are more than zero")

    def store_of(self, side: Side) -> str | None:
        return self.store_url if side is Side.ON else self.free_store_url

    @property
    def stage(self) -> StagePlan:
        """One organization, one key, and a model that answers at once."""
        model = ModelPlan(
            name=MODEL,
            price=PriceSeen(input_pico=2_500_000, cached_pico=2_500_000, output_pico=10_000_000),
            output_tokens_max=4096,
            script={"chunks": str(ANSWER_TOKENS)},
            concurrency_max=1000,
            queue_max=1000,
        )
        return StagePlan(
            orgs=(OrgPlan(ORG, CREDIT_NANO),), models=(model,), keys=(KeyPlan(KEY, ORG),)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSeen:
    """One turn; calls that no line was free for are ``unsent``.

    ``ran_ns`` is the run time of each kind of processes, the tail included. ``first_us`` and
    ``whole_us`` are (p50, p99) from the call's bytes to its first event and to its end.
    """

    side: Side
    load: Load
    calls: int
    failed: int
    unsent: int
    wall_us: int
    ran_ns: Mapping[str, int]
    first_us: tuple[int, int]
    whole_us: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBooks:
    """What the ledger of one side says after all turns; ``calls`` were answered well."""

    side: Side
    calls: int
    books: Books

    @property
    def exact(self) -> bool:
        """With money every call is booked, and alike; without, there is nothing."""
        expected = self.calls if self.side is Side.ON else 0
        alike = not expected or self.books.spent_nano % expected == 0
        return self.books.sound and self.books.calls == expected and alike
