"""What the benchmark of one hot account does, and what it saw. Frozen nouns."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from tokenbooth.proving.bench.books import Books
from tokenbooth.proving.observations import PriceSeen
from tokenbooth.proving.stage import KeyPlan, ModelPlan, OrgPlan, StagePlan

ORG, KEY, MODEL = "hot", "hot", "scripted"
CREDIT_NANO = 10**16
INPUT_TOKENS, OUTPUT_TOKENS_MAX = 100, 100
ANSWER_TOKENS = 16
PROMPT = "Count the cost of one call, please."
REPLICAS_MAX = 16


class Way(StrEnum):
    """LEASED: money from memory, told in rounds. BY_TRANSACTION: one for each hold, one for each
    settlement."""

    LEASED = "leased"
    BY_TRANSACTION = "by_transaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class HotOptions:
    """``turns`` of each way, ``seconds`` each, in alternation, with ``callers`` at once in each of
    the ``replicas``; then as long through HTTP, unless ``http`` is off.

    ``store_url`` of ``None`` is a SQLite file. Raises ValueError for what cannot be measured.
    """

    replicas: int = 3
    callers: int = 32
    seconds: float = 5.0
    turns: int = 2
    http: bool = True
    store_url: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.replicas <= REPLICAS_MAX:
            raise ValueError(f"replicas must be from 1 to {REPLICAS_MAX}")
        if min(self.turns, self.callers) < 1 or self.seconds <= 0:
            raise ValueError("turns, callers and seconds are more than zero")

    @property
    def stage(self) -> StagePlan:
        """One organization, one key, and a model that answers at once."""
        model = ModelPlan(
            name=MODEL,
            price=PriceSeen(input_pico=2_500_000, cached_pico=2_500_000, output_pico=10_000_001),
            output_tokens_max=4096,
            script={"chunks": str(ANSWER_TOKENS)},
            concurrency_max=1000,
            queue_max=1000,
        )
        return StagePlan(
            orgs=(OrgPlan(ORG, CREDIT_NANO),), models=(model,), keys=(KeyPlan(KEY, ORG),)
        )


class GatewayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one gateway process is told first."""

    data_dir: str
    replica: str
    secret: str
    model: str
    callers: int


class TurnPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What it is told for each turn."""

    way: Way
    seconds: float


class GatewaySaw(msgspec.Struct, frozen=True, kw_only=True):
    """What it tells of a turn: ``wall_us`` until the ledger had everything, waits in microseconds.

    ``charged_nano`` is the sum of its receipts.
    """

    calls: int
    charged_nano: int
    wall_us: int
    hold_us: list[int]
    settle_us: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HotTurn:
    """One turn of all gateways together. ``gateways_ns`` is the run time of each of them,
    ``database_ns`` that of the database where its processes can be seen."""

    way: Way
    saws: tuple[GatewaySaw, ...]
    gateways_ns: tuple[int, ...]
    database_ns: int | None

    @property
    def calls(self) -> int:
        return sum(saw.calls for saw in self.saws)

    @property
    def charged_nano(self) -> int:
        return sum(saw.charged_nano for saw in self.saws)

    @property
    def wall_us(self) -> int:
        """Until the slowest had told everything."""
        return max(saw.wall_us for saw in self.saws)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTurn:
    """The same account through the servers. Run times as above, and that of the load client."""

    calls: int
    failed: int
    wall_us: int
    first_us: tuple[int, int]
    whole_us: tuple[int, int]
    gateways_ns: tuple[int, ...]
    client_ns: int
    database_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HotSaw:
    """``books`` are those after the turns at the services, ``http_books`` those at the very end."""

    turns: tuple[HotTurn, ...]
    books: Books
    http: HttpTurn | None
    http_books: Books
