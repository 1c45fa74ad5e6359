"""Calls at the quiet end that ask for the last nano: they pass exactly when it is there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tokenbooth.proving import accounts
from tokenbooth.proving.drills.laws import cost_nano, name_of
from tokenbooth.proving.drills.play import Scene, until_quiet
from tokenbooth.proving.observations import CallSeen, Evidence, Saw
from tokenbooth.proving.plans import CallPlan


@dataclass(frozen=True, slots=True)
class Probe:
    """A call for one token of output; ``input_tokens`` as the engine counts them."""

    plan: CallPlan
    input_tokens: int


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
            verdict = "passed" if probe.call.complete else "was refused"
            yield (
                f"{name_of(probe.call)}: needs {probe.needed_nano} of {probe.left_nano} nano "
                f"left, and {verdict}"
            )


async def probe_all(
    scene: Scene, probes: Sequence[Probe], readers: Sequence[str]
) -> tuple[ProbeSeen, ...]:
    """One after the other, each once the organizations of ``readers`` have nothing held."""
    found = []
    for probe in probes:
        plan = probe.plan
        addresses = [replica.address for replica in scene.instance.replicas]
        await until_quiet(addresses, [scene.stage.readers[name] for name in readers])
        secret = scene.stage.keys[plan.key].secret
        levels = await accounts.levels(scene.address(plan.number), secret)
        left = (lvl.limit_nano - lvl.spent_nano for lvl in levels if lvl.limit_nano is not None)
        price = scene.stage.model(plan.model).price
        needed_nano = cost_nano(price, probe.input_tokens, 1)
        found.append(ProbeSeen(await scene.call(plan), min(left), needed_nano))
    return tuple(found)
