"""Frozen nouns of certificates. Times are microseconds since the measurement began."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from tokenbooth.verify.ladder.values import Finding, LadderPlan, Level
from tokenbooth.verify.packs.values import Pack
from tokenbooth.verify.search.values import Bound, Promise, SearchPlan

KIND = "capacity-certificate/1"
FORMAT = "tokenbooth.certificate/1"
OK = "ok"
NEVER_US = -1


class LegKind(StrEnum):
    """ALONE: one call at a time. SEARCH: an open loop that the search asked for. LEVEL: a step of
    the ladder."""

    ALONE = "alone"
    SEARCH = "search"
    LEVEL = "level"


@dataclass(frozen=True, slots=True)
class Leg:
    """One stretch of the measurement: ``calls_per_ks`` of an open loop, or ``batch`` calls at once.

    Of its samples in the order of sending the first ``warm`` do not count, and the next
    ``counted`` do.
    """

    kind: LegKind
    calls_per_ks: int
    batch: int
    percent: int
    warm: int
    counted: int

    @property
    def level(self) -> Level:
        return Level(0 if self.percent else self.batch, self.percent)


class Sample(NamedTuple):
    """One call. ``due_us`` is when it was meant to be sent, ``inside`` how many were under way with
    it then; ``first_us`` and ``end_us`` are -1 for what never came. ``status`` is ``ok``, ``cut``
    for a call that was no longer needed, or what went wrong. ``answer`` is what was said."""

    leg: int
    probe: int
    due_us: int
    sent_us: int
    first_us: int
    end_us: int
    output_tokens: int
    inside: int
    status: str
    finish: str
    answer: str


@dataclass(frozen=True, slots=True)
class CertificatePlan:
    """All that a measurement was to be. ``output_tokens`` is the usual answer, learned alone."""

    promise: Promise
    search: SearchPlan
    ladder: LadderPlan
    pack: Pack
    first_per_ks: int
    output_tokens: int
    probes: int
    temperature_milli: int = 0
    cache: str = "as served; probes repeat, so a prefix cache may help"


@dataclass(frozen=True, slots=True)
class Delay:
    """How late the generator itself was; ``good`` says whether its figures mean anything."""

    p50_us: int
    p99_us: int
    good: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """One run of the search as it is told."""

    purpose: str
    calls_per_ks: int
    calls: int
    good: int
    ttft_good: int
    tpot_good: int
    inside_p95: int
    passed: bool


@dataclass(frozen=True, slots=True)
class Alone:
    """What the endpoint does without load: ``kept`` of ``probes`` were right at the first asking,
    and ``discordance_ppm`` of those wrong at the second."""

    probes: int
    kept: int
    discordance_ppm: int
    right_by_family: dict[str, tuple[int, int]]
    ttft_p50_us: int
    tpot_p50_us: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that follows from the samples.

    ``calls_per_ks`` and ``concurrency`` are what is certified: 0 where nothing is. ``latency_*``
    are what the promise alone would allow, whatever the answers are like. ``first_failing`` names
    the lowest level that did not hold, ``binding`` what failed there: "ttft", "tpot" or "quality".
    """

    calls_per_ks: int
    concurrency: int
    latency_calls_per_ks: int
    latency_concurrency: int
    attainment: Bound
    ttft_ppm: int
    tpot_ppm: int
    first_failing: str
    binding: str
    alone: Alone
    tried: tuple[Tried, ...]
    ladder: tuple[Finding, ...]
    delay: Delay
    calls: int
    statuses: dict[str, int] = field(default_factory=dict)
    output_tokens_p50: int = 0
    output_tokens_p95: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was checked; ``told`` is for people."""

    name: str
    ok: bool
    told: str
