"""Calls at the quiet end that ask for all that is left: they pass exactly when it is there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tokenbooth.proving import accounts
from tokenbooth.proving.drills.laws import PICO_PER_NANO, cost_nano, name_of
from tokenbooth.proving.drills.play import Scene, until_quiet
from tokenbooth.proving.observations import CallSeen, Evidence, PriceSeen, Saw
from tokenbooth.proving.plans import CallPlan


@dataclass(frozen=True, slots=True)
class Probe:
    """A call whose output limit is chosen when it is made: as much as what is left pays for, at
    most ``output_tokens_max`` and at least one token.

    ``input_tokens`` are as the engine counts them.
    """

    plan: CallPlan
    input_tokens: int
    output_tokens_max: int


@dataclass(frozen=True, slots=True)
class ProbeSeen:
    """A probe as it went, and what its tightest level had left just before it."""

    call: CallSeen
    left_nano: int
    needed_nano: int

    @property
    def fits(self) -> bool:
        return self.needed_nano <= self.left_nano

    @property
    def false(self) -> bool:
        """Refused although it fitted."""
        return self.fits and not self.call.complete


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedSaw(Saw):
    """An attack that ended with probes; their calls are among ``calls``."""

    probes: tuple[ProbeSeen, ...]


def the_last_nano_is_judged_right(seen: Evidence[ProbedSaw]) -> Iterator[str]:
    """At the quiet end a call passes exactly when its worst case fits what is left."""
    for probe in seen.saw.probes:
        if probe.fits != probe.call.complete:
            call = probe.call
            refused = f"was refused: {call.status}, {call.error_code}, {call.refusal}"
            yield (
                f"{name_of(call)}: needs {probe.needed_nano} of {probe.left_nano} nano left, "
                f"and {'passed' if call.complete else refused}"
            )


async def probe_all(
    scene: Scene, probes: Sequence[Probe], readers: Sequence[str]
) -> tuple[ProbeSeen, ...]:
    """One after the other, each once the organizations of ``readers`` have nothing held."""
    found, quiet = [], True
    for probe in probes:
        plan = probe.plan
        addresses = [replica.address for replica in scene.instance.replicas]
        if quiet:  # what never comes to rest is waited for once
            quiet = await until_quiet(addresses, [scene.stage.readers[name] for name in readers])
        secret = scene.stage.keys[plan.key].secret
        levels = await accounts.levels(scene.address(plan.number), secret)
        left = (lvl.limit_nano - lvl.spent_nano for lvl in levels if lvl.limit_nano is not None)
        left_nano, price = min(left), scene.stage.model(plan.model).price
        bought = output_tokens_bought(price, probe.input_tokens, left_nano)
        output_tokens = max(1, min(bought, probe.output_tokens_max))
        needed_nano = cost_nano(price, probe.input_tokens, output_tokens)
        asked = replace(plan, output_tokens_max=output_tokens, strict=True)
        found.append(ProbeSeen(await scene.call(asked), left_nano, needed_nano))
    return tuple(found)


def output_tokens_bought(price: PriceSeen, input_tokens: int, left_nano: int) -> int:
    """The most output whose whole cost, rounded as costs are, is within ``left_nano``; 0 or less
    where not even the input is. A token of output costs a nano at least."""
    tokens = (left_nano * PICO_PER_NANO - input_tokens * price.input_pico) // price.output_pico
    return tokens + (cost_nano(price, input_tokens, max(0, tokens + 1)) <= left_nano)
