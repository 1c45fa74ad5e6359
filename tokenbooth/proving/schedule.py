"""What the mixed drill does, call by call: a pure function of the seed and the number of calls."""

from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.proving.draw import Draw
from tokenbooth.proving.malformed import MALFORMED

CALLS_MIN = 60
CALLS_MAX = 100_000
DOWN_CALLS = 6
ABRUPT_PERCENT = 50
SCRIPT_CHUNKS = 40
OUTPUT_TOKENS_MAX = 256
PROMPT_WORDS_MAX = 30
WRONG_KEY_WAYS = 5


class CallKind(StrEnum):
    """What one call of the drill is about."""

    WHOLE = "whole"
    STREAMED = "streamed"
    STREAM_CUT = "stream_cut"
    WHOLE_CUT = "whole_cut"
    OVER_CAP = "over_cap"
    MALFORMED = "malformed"
    UNKNOWN_MODEL = "unknown_model"
    WRONG_KEY = "wrong_key"
    ENGINE_KILL = "engine_kill"
    KEY_REVOKE = "key_revoke"
    REVOKED_KEY = "revoked_key"


CUTS = frozenset({CallKind.STREAM_CUT, CallKind.WHOLE_CUT})
CLIENT_FAULTS = frozenset(
    {CallKind.MALFORMED, CallKind.UNKNOWN_MODEL, CallKind.WRONG_KEY, CallKind.REVOKED_KEY}
)
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


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A key to make; ``cap_nano`` is its own hard cap. Organizations and projects go by name."""

    name: str
    org: str = "main"
    project: str = "default"
    cap_nano: int | None = None


READERS = (KeyPlan("reader-main"), KeyPlan("reader-poor", org="poor"))
FREE_KEYS = (KeyPlan("free-0"), KeyPlan("free-1"), KeyPlan("free-2"))
REVOKED = KeyPlan("revoked")
CAPPED_KEYS = (
    KeyPlan("cap-one-nano", cap_nano=1),
    KeyPlan("cap-small", cap_nano=400_000),
    KeyPlan("cap-medium", cap_nano=1_500_000),
    KeyPlan("in-capped-project", project="capped"),
    KeyPlan("of-poor-org", org="poor"),
)
KEYS = (*READERS, *FREE_KEYS, REVOKED, *CAPPED_KEYS)
PROJECT_CAP_NANO = 1_200_000
CREDIT_NANO = {"main": 1_000_000_000_000, "poor": 1_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """One call. ``statuses`` are those that a client fault may get; empty for paying calls.

    A cut call hangs up after ``cut_after_events`` events with text; at 0, ``pause_ms`` after it was
    sent, with nothing read. ``abrupt`` resets the connection instead of closing it. ``way`` selects
    the variant of a fault.
    """

    number: int
    kind: CallKind
    key: str
    prompt: str
    stream: bool = False
    include_usage: bool = False
    output_tokens_max: int | None = None
    cut_after_events: int = 0
    pause_ms: int = 0
    abrupt: bool = False
    way: int = 0
    statuses: frozenset[int] = frozenset()

    @property
    def mark(self) -> str:
        """The end customer that the call names, so that its record is found without its id."""
        return f"call-{self.number:06d}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """``kills`` are the numbers of the calls during which the engine is killed, in order."""

    seed: int
    calls: tuple[CallPlan, ...]
    kills: tuple[int, ...]
    revoke: int


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
