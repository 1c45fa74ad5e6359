"""What the callers do while servers die. Pure functions of a seed.

Money is short all the time: each purse, a small organization, runs dry after some dozens of calls,
and then the callers go on to the next one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tokenbooth.proving.draw import Draw
from tokenbooth.proving.drills.script import script_prompt, script_tokens
from tokenbooth.proving.observations import PriceSeen
from tokenbooth.proving.plans import CallKind, CallPlan
from tokenbooth.proving.stage import KeyPlan, ModelPlan, OrgPlan, ProjectPlan, StagePlan

SCOPES = ("balance", "organization", "project", "key")
KEYS_EACH, PROJECTS_EACH = 4, 2
PRICE = PriceSeen(input_pico=1_234_567, cached_pico=123_457, output_pico=4_999_999)
INPUT_TOKENS = script_tokens(2)
# More than any purse buys, so that at the end all that is left can be asked for at once.
OUTPUT_TOKENS_MAX = 4096
# Small, so that a call without a stated limit needs more money on its way, and often.
SETTINGS = {
    "till.output_step_tokens": "48",
    # Short answers are noted too, so that what a crash leaves to be charged is judged often.
    "till.progress_tokens": "2",
    "till.progress_every_ms": "10",
}
MEAN_CALL_NANO = 270_000
CALLS_EACH = (20, 60)
LOOSE_TIMES = (1, 4)
REVISIT_PERCENT = 10
STREAM_PERCENT = 60
USAGE_PERCENT = 85
STATED_PERCENT = 60
LONG_PERCENT = 30
SHORT_CHUNKS, LONG_CHUNKS = (1, 40), (41, 160)
CHUNK_DELAY_MS_MAX = 8
LIMIT_TOKENS_MAX = 200
PROBE_NUMBER = 900_000_000


@dataclass(frozen=True, slots=True)
class Purse:
    """An organization whose limits, by scope, all come into reach; one of them is tight."""

    name: str
    caps_nano: tuple[int, int, int, int]

    @property
    def keys(self) -> tuple[KeyPlan, ...]:
        cap_nano = self.caps_nano[3]
        return tuple(
            KeyPlan(f"{self.name}-k{n}", self.name, f"p{n % PROJECTS_EACH}", cap_nano)
            for n in range(KEYS_EACH)
        )


def purses(seed: int, count: int) -> tuple[Purse, ...]:
    """Each tight at another level than the one before it."""
    draw = Draw(seed, "purses")
    return tuple(_purse(draw, index) for index in range(count))


def _purse(draw: Draw, index: int) -> Purse:
    tight_nano = draw.between(*CALLS_EACH) * MEAN_CALL_NANO
    tight = index % len(SCOPES)
    caps = [
        tight_nano if place == tight else tight_nano * draw.between(*LOOSE_TIMES)
        for place in range(len(SCOPES))
    ]
    return Purse(f"purse{index}", (caps[0], caps[1], caps[2], caps[3]))


def stage_plan(played: tuple[Purse, ...], parallel: int) -> StagePlan:
    """All purses, and one model whose answers are as long as a call says."""
    model = ModelPlan(
        name="scripted",
        price=PRICE,
        output_tokens_max=OUTPUT_TOKENS_MAX,
        script={"turn_commands": "true"},
        concurrency_max=4 * parallel,
        queue_max=4 * parallel,
    )
    return StagePlan(
        orgs=tuple(OrgPlan(each.name, each.caps_nano[0], each.caps_nano[1]) for each in played),
        projects=tuple(
            ProjectPlan(f"p{n}", each.name, each.caps_nano[2])
            for each in played
            for n in range(PROJECTS_EACH)
        ),
        keys=tuple(key for each in played for key in each.keys),
        models=(model,),
    )


class Wallet:
    """Which purse is spent from: the first that is not empty, and now and then an older one."""

    def __init__(self, played: tuple[Purse, ...]) -> None:
        self._purses = played
        self._refused: set[str] = set()
        self.current = 0

    def key(self, draw: Draw) -> str:
        """The name of a key to pay with."""
        place = self.current
        if place and draw.chance(REVISIT_PERCENT):
            place = draw.below(place)
        return draw.one_of(self._purses[place].keys).name

    def refused(self, key: str) -> None:
        """That key can start no call any more."""
        self._refused.add(key)
        last = len(self._purses) - 1
        while self.current < last and self._empty(self._purses[self.current]):
            self.current += 1

    def _empty(self, purse: Purse) -> bool:
        return all(key.name in self._refused for key in purse.keys)

    @property
    def opened(self) -> tuple[Purse, ...]:
        """Every purse that was spent from, the newest last."""
        return self._purses[: self.current + 1]


def calls(seed: int, wallet: Wallet, first: int = 0) -> Iterator[CallPlan]:
    """Without end, numbered from ``first``."""
    draw = Draw(seed, f"calls {first}")
    number = first
    while True:
        stream = draw.chance(STREAM_PERCENT)
        chunks = draw.between(*(LONG_CHUNKS if draw.chance(LONG_PERCENT) else SHORT_CHUNKS))
        delay_ms = draw.below(CHUNK_DELAY_MS_MAX + 1)
        yield CallPlan(
            number=number,
            kind=CallKind.STREAMED if stream else CallKind.WHOLE,
            key=wallet.key(draw),
            prompt=prompt_of(chunks, delay_ms),
            stream=stream,
            include_usage=stream and draw.chance(USAGE_PERCENT),
            output_tokens_max=(
                draw.between(1, LIMIT_TOKENS_MAX) if draw.chance(STATED_PERCENT) else None
            ),
        )
        number += 1


def prompt_of(chunks: int, delay_ms: int) -> str:
    """``INPUT_TOKENS`` input tokens, whatever the numbers."""
    return script_prompt(chunks=chunks, chunk_delay_ms=delay_ms)


def probe_plans(played: tuple[Purse, ...]) -> tuple[CallPlan, ...]:
    """The calls at the quiet end, one for each key of the purses."""
    keys = [key.name for each in played for key in each.keys]
    return tuple(
        CallPlan(
            number=PROBE_NUMBER + n,
            kind=CallKind.WHOLE,
            key=key,
            prompt=prompt_of(1, 0),
        )
        for n, key in enumerate(keys)
    )
