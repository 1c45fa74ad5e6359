"""What the mixed drill plays on: the names, keys and prices that its calls use."""

from dataclasses import dataclass

from tokenbooth.proving.observations import PriceSeen

# Odd on purpose: nearly every cost has to be rounded.
PRICE = PriceSeen(input_pico=1_234_567, cached_pico=123_457, output_pico=4_999_999)


@dataclass(frozen=True, slots=True)
class StageKey:
    """A key that was made; ``org`` is the plan's name of its organization."""

    id: str
    secret: str
    org: str


@dataclass(frozen=True, slots=True)
class Stage:
    """What the drill plays on; ``orgs`` maps the plan's names to those in the store."""

    model: str
    slow_model: str
    orgs: dict[str, str]
    keys: dict[str, StageKey]

    @property
    def prices(self) -> dict[str, PriceSeen]:
        return {self.model: PRICE, self.slow_model: PRICE}
