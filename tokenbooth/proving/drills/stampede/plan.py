"""What the stampede does: its stage and its calls. Pure functions of a seed and of numbers.

A rush runs at one limit, which is its ``scope``. In an exact rush each call is made once and costs
its worst case; in a random one callers come back until they are refused for good, and what a call
really costs is a random part of its worst case.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tokenbooth.proving.draw import Draw
from tokenbooth.proving.drills.script import script_prompt, script_tokens
from tokenbooth.proving.observations import PriceSeen
from tokenbooth.proving.plans import CallKind, CallPlan
from tokenbooth.proving.stage import KeyPlan, ModelPlan, OrgPlan, ProjectPlan, StagePlan

SCOPES = ("balance", "organization", "project", "key")
CALLS_MIN, CALLS_MAX = 60, 10_000
CALLERS_MIN, CALLERS_MAX = 2, 500
CAP_NANO = 5_000_000_000
# 8 input tokens and 999 output tokens are exactly 0.10 USD.
PRICE = PriceSeen(input_pico=12_500_000, cached_pico=12_500_000, output_pico=100_000_000)
# Odd, so that what is left at the end is never a whole number of calls.
ODD_PRICE = PriceSeen(input_pico=12_345_679, cached_pico=12_345_679, output_pico=99_999_989)
EVEN, ODD = "even", "odd"
PROMPT, PROMPT_TOKENS = "go", 8
ANSWER_TOKENS = 999
CALL_NANO = 100_000_000
FITTING = CAP_NANO // CALL_NANO
DRAWN_TOKENS = script_tokens(2)
PIECES_MAX = 12
UNSTATED_PERCENT = 25
STREAM_PERCENT = 50
FIRST_DELAY_MS = 50
KEYS_MAX = 4
# Small, so that a call without a stated limit needs more money on its way.
SETTINGS = {"log.level": "warning", "till.output_step_tokens": "100"}
NUMBERS_EACH = 1_000_000


@dataclass(frozen=True, slots=True)
class Rush:
    """``index`` separates the numbers of its calls from those of others."""

    index: int
    scope: str
    exact: bool

    @property
    def name(self) -> str:
        return f"{self.scope}-{'exact' if self.exact else 'random'}"

    @property
    def keys(self) -> tuple[KeyPlan, ...]:
        """Several under the limit, unless it is the limit of one key."""
        count = 1 if self.scope == "key" else KEYS_MAX
        cap_nano = self.cap_nano("key")
        return tuple(
            KeyPlan(f"{self.name}-{n}", self.name, f"p{n % self.projects}", cap_nano)
            for n in range(count)
        )

    @property
    def projects(self) -> int:
        return 2 if self.scope in ("balance", "organization") else 1

    def cap_nano(self, scope: str) -> int:
        """Of its own scope the cap; every other one lies higher, the outermost highest."""
        if scope == self.scope:
            return CAP_NANO
        return CAP_NANO * (2 + len(SCOPES) - SCOPES.index(scope))

    def key_of(self, number: int) -> str:
        return self.keys[number % len(self.keys)].name


def rushes(scopes: tuple[str, ...] = SCOPES) -> tuple[Rush, ...]:
    """An exact and a random rush at each limit."""
    pairs = [(scope, exact) for exact in (True, False) for scope in scopes]
    return tuple(Rush(index, *pair) for index, pair in enumerate(pairs))


def stage_plan(played: tuple[Rush, ...], parallel: int) -> StagePlan:
    """An organization for each rush; models whose answers are as long as a call says."""
    script = {
        "chunks": "1",
        "tokens_per_chunk": str(ANSWER_TOKENS),
        "first_delay_ms": str(FIRST_DELAY_MS),
        "turn_commands": "true",
    }
    models = (
        ModelPlan(
            name=name,
            price=price,
            output_tokens_max=ANSWER_TOKENS,
            script=script,
            concurrency_max=2 * parallel,
            queue_max=2 * parallel,
        )
        for name, price in ((EVEN, PRICE), (ODD, ODD_PRICE))
    )
    return StagePlan(
        orgs=tuple(
            OrgPlan(rush.name, rush.cap_nano("balance"), rush.cap_nano("organization"))
            for rush in played
        ),
        projects=tuple(
            ProjectPlan(f"p{n}", rush.name, rush.cap_nano("project"))
            for rush in played
            for n in range(rush.projects)
        ),
        keys=tuple(key for rush in played for key in rush.keys),
        models=tuple(models),
    )


def exact_calls(rush: Rush, calls: int) -> tuple[CallPlan, ...]:
    """Each costs ``CALL_NANO``, no less and no more."""
    return tuple(
        CallPlan(
            number=rush.index * NUMBERS_EACH + n,
            kind=CallKind.WHOLE,
            key=rush.key_of(n),
            prompt=PROMPT,
            output_tokens_max=ANSWER_TOKENS,
        )
        for n in range(calls)
    )


def drawn_calls(rush: Rush, seed: int) -> Iterator[CallPlan]:
    """Without end. Every prompt has ``DRAWN_TOKENS`` input tokens, so that what one caller is
    refused for good no other one can get."""
    draw = Draw(seed, rush.name)
    for n in range(NUMBERS_EACH):
        answer_tokens = draw.between(1, ANSWER_TOKENS)
        pieces = draw.between(1, min(PIECES_MAX, answer_tokens))
        each = -(-answer_tokens // pieces)
        stream = draw.chance(STREAM_PERCENT)
        yield CallPlan(
            number=rush.index * NUMBERS_EACH + n,
            kind=CallKind.STREAMED if stream else CallKind.WHOLE,
            key=rush.key_of(n),
            prompt=drawn_prompt(each, pieces),
            model=ODD,
            stream=stream,
            include_usage=stream,
            output_tokens_max=None if draw.chance(UNSTATED_PERCENT) else ANSWER_TOKENS,
        )


def drawn_prompt(tokens: int, pieces: int) -> str:
    """``DRAWN_TOKENS`` input tokens, whatever the numbers."""
    return script_prompt(tokens_per_chunk=tokens, chunks=pieces)


def last_calls(rush: Rush) -> tuple[tuple[CallPlan, int], ...]:
    """What is asked at the quiet end, with its input tokens: once more what all were refused, then
    the least there is."""
    prompts = ((drawn_prompt(1, 1), DRAWN_TOKENS), (PROMPT, PROMPT_TOKENS))
    plans = (
        CallPlan(
            number=(rush.index + 1) * NUMBERS_EACH - 1 - n,
            kind=CallKind.WHOLE,
            key=rush.key_of(n),
            prompt=prompt,
            model=ODD,
        )
        for n, (prompt, _tokens) in enumerate(prompts)
    )
    return tuple(zip(plans, (tokens for _prompt, tokens in prompts), strict=True))
