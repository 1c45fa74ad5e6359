"""What the mixed drill does, call by call: a pure function of the seed and the number of calls."""

from dataclasses import dataclass

from tokenbooth.proving.asking import WRONG_KEY_WAYS
from tokenbooth.proving.draw import Draw
from tokenbooth.proving.malformed import MALFORMED
from tokenbooth.proving.observations import PriceSeen
from tokenbooth.proving.plans import CUTS, CallKind, CallPlan
from tokenbooth.proving.stage import KeyPlan, ModelPlan, OrgPlan, ProjectPlan, StagePlan

CALLS_MIN = 60
CALLS_MAX = 100_000
DOWN_CALLS = 6
ABRUPT_PERCENT = 50
SCRIPT_CHUNKS = 40
OUTPUT_TOKENS_MAX = 256
PROMPT_WORDS_MAX = 30
ALWAYS_STREAMED = frozenset({CallKind.STREAMED, CallKind.STREAM_CUT, CallKind.ENGINE_KILL})
SHARES = {
    CallKind.STREAMED: 26,
    CallKind.WHOLE: 16,
    CallKind.STREAM_CUT: 20,
    CallKind.WHOLE_CUT: 5,
    CallKind.OVER_CAP: 16,
    CallKind.MALFORMED: 9,
    CallKind.UNKNOWN_MODEL: 3,
    CallKind.WRONG_KEY: 5,
}
FREE_KEYS = (KeyPlan("free-0"), KeyPlan("free-1"), KeyPlan("free-2"))
REVOKED = KeyPlan("revoked")
CAPPED_KEYS = (
    KeyPlan("cap-one-nano", cap_nano=1),
    KeyPlan("cap-small", cap_nano=400_000),
    KeyPlan("cap-medium", cap_nano=1_500_000),
    KeyPlan("in-capped-project", project="capped"),
    KeyPlan("of-poor-org", org="poor"),
)
KEYS = (*FREE_KEYS, REVOKED, *CAPPED_KEYS)
PROJECT_CAP_NANO = 1_200_000
CREDIT_NANO = {"main": 1_000_000_000_000, "poor": 1_000_000}
# Odd on purpose: nearly every cost has to be rounded.
PRICE = PriceSeen(input_pico=1_234_567, cached_pico=123_457, output_pico=4_999_999)
# Long enough that a revocation arrives while the answer is still running.
SLOW_SCRIPT = {"chunks": "200", "chunk_delay_ms": "100"}
SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Schedule:
    """``kills`` are the numbers of the calls during which the engine is killed, in order."""

    seed: int
    calls: tuple[CallPlan, ...]
    kills: tuple[int, ...]
    revoke: int


def stage_plan(engine_url: str, parallel: int) -> StagePlan:
    """The stage of the drill; the engine behind ``engine_url`` is the one that dies."""
    mock = ModelPlan(
        name="mock",
        price=PRICE,
        output_tokens_max=OUTPUT_TOKENS_MAX,
        upstream_url=engine_url,
        concurrency_max=2 * parallel,
        queue_max=4 * parallel,
    )
    slow = ModelPlan(
        name=SLOW, price=PRICE, output_tokens_max=OUTPUT_TOKENS_MAX, script=SLOW_SCRIPT
    )
    return StagePlan(
        orgs=tuple(OrgPlan(name, nano) for name, nano in CREDIT_NANO.items()),
        projects=(ProjectPlan("capped", "main", PROJECT_CAP_NANO),),
        models=(mock, slow),
        keys=KEYS,
    )


def check_calls(calls: int) -> None:
    """Raises ValueError for fewer calls than the fixed parts need, or absurdly many."""
    if not CALLS_MIN <= calls <= CALLS_MAX:
        raise ValueError(f"calls must be from {CALLS_MIN} to {CALLS_MAX}")


def schedule_of(seed: int, calls: int) -> Schedule:
    """Raises ValueError as ``check_calls`` does."""
    check_calls(calls)
    draw = Draw(seed, "mixed")
    kills, revoke = (calls // 4, 3 * calls // 4), calls // 2
    fixed = dict.fromkeys(kills, CallKind.ENGINE_KILL)
    fixed[revoke] = CallKind.KEY_REVOKE
    fixed.update(dict.fromkeys(range(revoke + 1, revoke + 4), CallKind.REVOKED_KEY))
    kinds = iter(_kinds(draw, calls - len(fixed)))
    ways = _Ways()
    plans = tuple(
        _call(draw, number, fixed.get(number) or next(kinds), ways) for number in range(calls)
    )
    return Schedule(seed, plans, kills, revoke)


def _kinds(draw: Draw, count: int) -> list[CallKind]:
    """Each kind in its share, at least once, in random order; the rest are streamed."""
    total = sum(SHARES.values())
    kinds = [kind for kind, share in SHARES.items() for _ in range(max(1, count * share // total))]
    kinds += [CallKind.STREAMED] * (count - len(kinds))
    return draw.shuffled(kinds)


class _Ways:
    """Gives each kind's variants in turn, so that none is left to chance."""

    def __init__(self) -> None:
        self._given: dict[CallKind, int] = {}

    def next(self, kind: CallKind) -> int:
        way = self._given.get(kind, -1) + 1
        self._given[kind] = way
        return way


def _call(draw: Draw, number: int, kind: CallKind, ways: _Ways) -> CallPlan:
    way = ways.next(kind)
    stream = kind in ALWAYS_STREAMED or (kind is CallKind.OVER_CAP and draw.chance(50))
    limit = None if draw.chance(30) else draw.between(1, 2 * SCRIPT_CHUNKS)
    if kind in (CallKind.ENGINE_KILL, CallKind.KEY_REVOKE):
        limit, stream = None, True
    if kind is CallKind.MALFORMED:
        way %= len(MALFORMED)
    elif kind is CallKind.WRONG_KEY:
        way %= WRONG_KEY_WAYS
    return CallPlan(
        number=number,
        kind=kind,
        key=_key(draw, kind, way),
        prompt=_prompt(draw),
        model=SLOW if kind is CallKind.KEY_REVOKE else None,
        stream=stream,
        include_usage=stream and draw.chance(70),
        output_tokens_max=limit,
        cut_after_events=draw.below(SCRIPT_CHUNKS) if kind is CallKind.STREAM_CUT else 0,
        pause_ms=draw.below(200) if kind in CUTS else 0,
        abrupt=kind in CUTS and draw.chance(ABRUPT_PERCENT),
        way=way,
        statuses=_statuses(kind, way),
    )


def _key(draw: Draw, kind: CallKind, way: int) -> str:
    if kind is CallKind.OVER_CAP:
        return CAPPED_KEYS[way % len(CAPPED_KEYS)].name
    if kind in (CallKind.KEY_REVOKE, CallKind.REVOKED_KEY):
        return REVOKED.name
    return draw.one_of(FREE_KEYS).name


def _prompt(draw: Draw) -> str:
    words = (f"w{draw.below(1000)}" for _ in range(draw.between(1, PROMPT_WORDS_MAX)))
    return " ".join(words)


def _statuses(kind: CallKind, way: int) -> frozenset[int]:
    match kind:
        case CallKind.MALFORMED:
            return frozenset({MALFORMED[way].status})
        case CallKind.UNKNOWN_MODEL:
            return frozenset({404})
        case CallKind.REVOKED_KEY:
            return frozenset({401})
        case CallKind.WRONG_KEY:
            return frozenset({400 if way == WRONG_KEY_WAYS - 1 else 401})
        case _:
            return frozenset()
