"""The figures of one hot account: both ways, their ratio, and what each process ran. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tokenbooth.proving.bench.chart import Bar, Chart
from tokenbooth.proving.bench.figures import US_PER_MS, quantile, us_per_call
from tokenbooth.proving.bench.hot_account.plan import HotOptions, HotSaw, HotTurn, HttpTurn, Way

GOAL_PER_S = 5000
US_PER_S = 1_000_000
NAMES = {Way.LEASED: "leased", Way.BY_TRANSACTION: "transaction per request"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HotReport:
    """``synced``: the database waits for its disk."""

    options: HotOptions
    store: str
    synced: bool
    machine_load: str
    saw: HotSaw

    @property
    def exact(self) -> bool:
        """Whether receipts, records and the balance are one sum, and the ledger is sound."""
        books, http_books = self.saw.books, self.saw.http_books
        told_nano = sum(turn.charged_nano for turn in self.saw.turns)
        calls = sum(turn.calls for turn in self.saw.turns)
        agreed = books.sound and (books.calls, books.spent_nano) == (calls, told_nano)
        http = self.saw.http
        through = calls if http is None else calls + http.calls
        answered = http is None or not http.failed
        return agreed and answered and http_books.sound and http_books.calls == through

    def turns(self, way: Way) -> list[HotTurn]:
        return [turn for turn in self.saw.turns if turn.way is way]

    def settled_per_s(self, way: Way) -> int:
        """The median of its turns."""
        return int(median(_per_s(turn.calls, turn.wall_us) for turn in self.turns(way)))

    @property
    def ratio(self) -> float:
        """How many times as many calls are settled from leased money."""
        plain = self.settled_per_s(Way.BY_TRANSACTION)
        return round(self.settled_per_s(Way.LEASED) / plain, 1) if plain else 0.0

    def document(self) -> dict[str, object]:
        """JSON-ready; times are in microseconds."""
        return {
            "object": "bench",
            "bench": "hot-account",
            "exact": self.exact,
            "store": self.store,
            "synced": self.synced,
            "replicas": self.options.replicas,
            "callers": self.options.callers,
            "seconds": self.options.seconds,
            "machine_load": self.machine_load,
            "goal_settled_per_s": GOAL_PER_S,
            "ratio": self.ratio,
            "ways": {way.value: self._way_document(way) for way in Way},
            "http": None if self.saw.http is None else _http_document(self.saw.http),
            "calls": self.saw.http_books.calls,
            "spent_nano": self.saw.http_books.spent_nano,
            "charges_nano": self.saw.http_books.charges_nano,
            "problems": [*self.saw.books.problems, *self.saw.http_books.problems],
        }

    def _way_document(self, way: Way) -> dict[str, object]:
        turns = self.turns(way)
        calls = sum(turn.calls for turn in turns)
        hold_us = [wait for turn in turns for saw in turn.saws for wait in saw.hold_us]
        settle_us = [wait for turn in turns for saw in turn.saws for wait in saw.settle_us]
        return {
            "settled_per_s": self.settled_per_s(way),
            "turns": [_per_s(turn.calls, turn.wall_us) for turn in turns],
            "calls": calls,
            "gateway_cpu_us": us_per_call(sum(sum(t.gateways_ns) for t in turns), calls),
            "each_gateway_cpu_us": [
                us_per_call(
                    sum(t.gateways_ns[n] for t in turns), sum(t.saws[n].calls for t in turns)
                )
                for n in range(self.options.replicas)
            ],
            "database_cpu_us": _database_us(turns, calls),
            "hold_p50_us": quantile(hold_us, 50),
            "hold_p99_us": quantile(hold_us, 99),
            "settle_p50_us": quantile(settle_us, 50),
            "settle_p99_us": quantile(settle_us, 99),
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        for way in Way:
            told = self._way_document(way)
            yield (
                f"{NAMES[way]:24} {told['settled_per_s']:>8,} settled/s"
                f"   CPU per call: gateways {told['gateway_cpu_us']} us, database"
                f" {_shown(told['database_cpu_us'])}"
            )
            yield (
                f"{'':24} hold p50 {_ms(told['hold_p50_us'])} p99 {_ms(told['hold_p99_us'])} ms"
                f"   settle p50 {_ms(told['settle_p50_us'])} p99 {_ms(told['settle_p99_us'])} ms"
            )
        yield f"{'ratio':24} {self.ratio:>8}"
        http = self.saw.http
        if http is not None:
            yield (
                f"{'through HTTP':24} {_per_s(http.calls, http.wall_us):>8,} settled/s"
                f"   CPU per call: gateways {us_per_call(sum(http.gateways_ns), http.calls)} us,"
                f" client {us_per_call(http.client_ns, http.calls)} us"
            )
        verdict = "spent is the sum of all charges" if self.exact else "NOT EXACT"
        disk = "waits for its disk" if self.synced else "does not wait for its disk"
        yield f"{self.saw.http_books.calls:,} calls booked, {verdict}"
        yield f"{self.store} {disk}; load of the machine {self.machine_load}"

    def chart(self) -> Chart:
        """The figures side by side."""
        bars = [
            Bar(NAMES[way], self.settled_per_s(way), plain=way is Way.BY_TRANSACTION) for way in Way
        ]
        if self.saw.http is not None:
            bars.append(
                Bar("leased, through HTTP", _per_s(self.saw.http.calls, self.saw.http.wall_us))
            )
        replicas = f"{self.options.replicas} gateways" if self.options.replicas > 1 else "1 gateway"
        disk = "fsync on" if self.synced else "fsync off"
        return Chart(
            title=f"One hot account, {replicas} on {self.store}",
            unit="settled/s",
            bars=bars,
            goal=GOAL_PER_S,
            note=f"{self.options.callers} callers in each gateway · {disk}",
        )


def _per_s(calls: int, wall_us: int) -> int:
    return calls * US_PER_S // max(1, wall_us)


def _database_us(turns: list[HotTurn], calls: int) -> float | None:
    """``None`` where its processes cannot be seen."""
    seen = [turn.database_ns for turn in turns if turn.database_ns is not None]
    return us_per_call(sum(seen), calls) if seen else None


def _http_document(http: HttpTurn) -> dict[str, object]:
    database_ns = http.database_ns
    return {
        "settled_per_s": _per_s(http.calls, http.wall_us),
        "calls": http.calls,
        "failed": http.failed,
        "gateway_cpu_us": us_per_call(sum(http.gateways_ns), http.calls),
        "client_cpu_us": us_per_call(http.client_ns, http.calls),
        "database_cpu_us": None if database_ns is None else us_per_call(database_ns, http.calls),
        "first_p50_us": http.first_us[0],
        "first_p99_us": http.first_us[1],
        "whole_p50_us": http.whole_us[0],
        "whole_p99_us": http.whole_us[1],
    }


def _shown(cpu_us: object) -> str:
    return "inside of them" if cpu_us is None else f"{cpu_us} us"


def _ms(time_us: object) -> str:
    assert isinstance(time_us, int)
    return f"{time_us / US_PER_MS:.2f}"
