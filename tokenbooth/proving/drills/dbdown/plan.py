"""Who calls while the database is away. Pure functions of a seed.

Regulars call all the time, so that money is leased for them when the outage begins. Strangers make
their first call during the outage: nothing is leased for them.
"""

from collections.abc import Iterator

from tokenbooth.proving.draw import Draw
from tokenbooth.proving.drills.script import script_prompt, script_tokens
from tokenbooth.proving.observations import PriceSeen
from tokenbooth.proving.plans import CallKind, CallPlan
from tokenbooth.proving.stage import KeyPlan, ModelPlan, OrgPlan, StagePlan

PRICE = PriceSeen(input_pico=1_234_567, cached_pico=123_457, output_pico=4_999_999)
INPUT_TOKENS = script_tokens(2)
OUTPUT_TOKENS_MAX = 256
CREDIT_NANO = 100_000_000_000
# A caller is told soon that there is no money to be had, and extensions happen during the outage.
SETTINGS = {"till.money_wait_max_s": "1", "till.output_step_tokens": "48"}
REGULAR_KEYS = ("regular-0", "regular-1", "regular-2")
STRANGERS = 6
STREAM_PERCENT = 60
STATED_PERCENT = 70
CHUNKS = (1, 60)
CHUNK_DELAY_MS_MAX = 8
STRANGER_NUMBERS = 1_000_000


def stranger(index: int) -> str:
    """The name of an organization, and of its key."""
    return f"stranger-{index}"


def stage_plan(parallel: int) -> StagePlan:
    """One organization of regulars, and one for each stranger."""
    names = tuple(map(stranger, range(STRANGERS)))
    model = ModelPlan(
        name="scripted",
        price=PRICE,
        output_tokens_max=OUTPUT_TOKENS_MAX,
        script={"turn_commands": "true"},
        concurrency_max=4 * (parallel + STRANGERS),
        queue_max=4 * (parallel + STRANGERS),
    )
    return StagePlan(
        orgs=tuple(OrgPlan(name, CREDIT_NANO) for name in ("regulars", *names)),
        models=(model,),
        keys=(
            *(KeyPlan(name, "regulars") for name in REGULAR_KEYS),
            *(KeyPlan(name, name) for name in names),
        ),
    )


def regular_calls(seed: int) -> Iterator[CallPlan]:
    """Without end."""
    return _calls(Draw(seed, "regulars"), REGULAR_KEYS, 0)


def stranger_calls(seed: int, index: int) -> Iterator[CallPlan]:
    """Without end; a stranger makes the next one only when the one before was refused."""
    first = STRANGER_NUMBERS * (index + 1)
    return _calls(Draw(seed, stranger(index)), (stranger(index),), first)


def _calls(draw: Draw, keys: tuple[str, ...], first: int) -> Iterator[CallPlan]:
    number = first
    while True:
        stream = draw.chance(STREAM_PERCENT)
        delay_ms = draw.below(CHUNK_DELAY_MS_MAX + 1)
        yield CallPlan(
            number=number,
            kind=CallKind.STREAMED if stream else CallKind.WHOLE,
            key=draw.one_of(keys),
            prompt=script_prompt(chunks=draw.between(*CHUNKS), chunk_delay_ms=delay_ms),
            stream=stream,
            include_usage=stream,
            output_tokens_max=(
                draw.between(1, OUTPUT_TOKENS_MAX) if draw.chance(STATED_PERCENT) else None
            ),
        )
        number += 1
