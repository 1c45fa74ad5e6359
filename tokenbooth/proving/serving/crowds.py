"""Who calls: tenants with their loads, in thousandths of what the server was measured to carry."""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from operator import attrgetter
from random import Random

from tokenbooth.core.terms import ServiceTier
from tokenbooth.proving.serving.open_loop import poisson
from tokenbooth.proving.serving.server import Call
from tokenbooth.proving.serving.shape import Workload


@dataclass(frozen=True, slots=True)
class Crowd:
    """One tenant, from ``from_milli`` to ``to_milli`` of the run."""

    tenant: str
    load_milli: int
    tier: ServiceTier = ServiceTier.STANDARD
    first_party: bool = False
    from_milli: int = 0
    to_milli: int = 1000


def arrivals(
    crowds: tuple[Crowd, ...], workload: Workload, carried_per_ks: int, seed: int, run_us: int
) -> Iterator[Call]:
    """All their calls in the order of sending; each crowd's are the same whoever else comes."""
    return merge(
        *(_calls(crowd, workload, carried_per_ks, seed, run_us) for crowd in crowds),
        key=attrgetter("sent_us"),
    )


def _calls(
    crowd: Crowd, workload: Workload, carried_per_ks: int, seed: int, run_us: int
) -> Iterator[Call]:
    random = Random(f"{crowd.tenant} {seed}")  # noqa: S311 - a simulation, no secret
    from_us, to_us = (run_us * milli // 1000 for milli in (crowd.from_milli, crowd.to_milli))
    for call in poisson(random, workload, max(1, carried_per_ks * crowd.load_milli // 1000)):
        call.sent_us += from_us
        if call.sent_us >= to_us:
            return
        call.tenant, call.tier, call.first_party = crowd.tenant, crowd.tier, crowd.first_party
        yield call
