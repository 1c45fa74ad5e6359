"""Frozen nouns of the search. Rates are calls in 1,000 seconds, shares are millionths."""

from dataclasses import dataclass
from enum import StrEnum

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Promise:
    """A good call has its first token within ``ttft_us`` of its intended sending, and each further
    one within ``tpot_us`` on average; ``attainment_ppm`` of all calls shall be good."""

    ttft_us: int
    tpot_us: int
    attainment_ppm: int = 950_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """How the search spends its calls.

    A probe decides between ``bad_ppm`` and ``good_ppm`` with ``error_ppm`` on either side, after
    ``probe_calls`` by the nearer one. Probes end when the bracket is closer than ``bracket_ppm``.
    A confirmation takes ``confirm_calls`` and passes when the lower bound of its attainment, of
    which ``doubt_ppm`` lie below, reaches the promise; it is given up when more calls missed than
    were due by ``hope_ppm`` of their root. It is tried where slack is used up ``guard_ppm`` above
    the promise: at ``first_ppm`` of the middle of the bracket, then by how fast slack falls below
    and above the knee (``steep_*``), no nearer to what failed than ``below_failed_ppm``, and only
    for a gain of ``worth_ppm``. The last one that ``calls_max`` leaves room for is ``last_ppm`` of
    that, unless one has passed.
    """

    bad_ppm: int = 930_000
    good_ppm: int = 975_000
    error_ppm: int = 100_000
    probe_calls: int = 400
    probe_calls_min: int = 300
    bracket_ppm: int = 1_150_000
    confirm_calls: int = 1_300
    doubt_ppm: int = 330_000
    guard_ppm: int = 5_000
    hope_ppm: int = 4_000_000
    first_ppm: int = 930_000
    last_ppm: int = 950_000
    steep_below_ppm: int = 2_500_000
    steep_above_ppm: int = 4_000_000
    below_failed_ppm: int = 970_000
    worth_ppm: int = 1_040_000
    confirms_max: int = 6
    calls_max: int = 5_000


class Purpose(StrEnum):
    """What a run is for."""

    PROBE = "probe"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Run:
    """An open loop at ``calls_per_ks``; the first ``warm_calls`` fill the endpoint and do not
    count, of the others at most ``calls`` are wanted."""

    purpose: Purpose
    calls_per_ks: int
    warm_calls: int
    calls: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a run: the calls that counted and the good ones among them; ``sent`` are all.

    ``slack_ppm`` is what the share of calls that is aimed at kept of the promise: below a million
    they used less time than they were allowed.
    """

    run: Run
    sent: int
    calls: int
    good: int
    slack_ppm: int
    passed: bool


@dataclass(frozen=True, slots=True)
class Bound:
    """A share and what it lies between, in millionths."""

    share_ppm: int
    low_ppm: int
    high_ppm: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of a confirmation: ``stable`` says that its second half is no worse than its first."""

    bound: Bound
    stable: bool
    passed: bool
