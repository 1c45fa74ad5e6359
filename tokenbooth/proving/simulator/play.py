"""Lives, one after the other, each from a seed alone."""

from dataclasses import dataclass

from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.gateway.options import TillOptions
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import Price
from tokenbooth.proving.simulator.call import INPUT_NANO, OUTPUT_NANO, STEP_TOKENS
from tokenbooth.proving.simulator.coverage import Coverage
from tokenbooth.proving.simulator.database import Template
from tokenbooth.proving.simulator.dice import Dice
from tokenbooth.proving.simulator.life import Life
from tokenbooth.proving.simulator.machine import NotedLog
from tokenbooth.proving.simulator.world import Violated, World

PICO_PER_NANO = 1000


@dataclass(frozen=True, slots=True)
class Played:
    """One seed: ``violations`` is empty where all laws held."""

    seed: int
    violations: tuple[str, ...]
    calls: int
    counts: dict[str, int]


class _PlainIds:
    def new(self, prefix: str) -> str:
        return f"{prefix}_1"


class Player:
    """Plays lives one after the other over one prepared database."""

    def __init__(self) -> None:
        self._prices: list[Price] = []
        self._template = Template(self._prepare)

    def _prepare(self, tx: Tx) -> None:
        ask = prices.PriceAsk("parrot", INPUT_NANO * PICO_PER_NANO, OUTPUT_NANO * PICO_PER_NANO)
        op = Op("prepare", lambda: 0, NotedLog())
        self._prices.append(prices.publish(op, tx, ask, _PlainIds()))

    def play(self, seed: int, operations: int) -> Played:
        dice, coverage = Dice(seed), Coverage()
        options = TillOptions(
            block_nano_max=dice.one_of((1_000, 100_000, 20 * 10**9)),
            round_calls_max=dice.one_of((1, 3, 1024)),
            output_step_tokens=STEP_TOKENS,
            idle_ms=dice.one_of((50, 2_000)),
        )
        now: list[World] = []
        with self._template.opened(lambda: now[0].now_us) as database:
            world = World(dice, database, self._prices[0], options, coverage)
            now.append(world)
            violations: tuple[str, ...] = ()
            try:
                Life(world, operations).play()
            except Violated as violated:
                violations = tuple(violated.texts)
            finally:
                world.shut()
        return Played(seed, violations, len(world.calls), dict(coverage.counts))
