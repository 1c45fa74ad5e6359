"""Where clients hang up, and what they have received by then. Pure functions of a seed.

Most answers stop at the place where their client hangs up: the engine is told to fall silent there.
So what was delivered is known to the token, on a machine of any speed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.proving.draw import Draw
from tokenbooth.proving.drills.script import script_prompt, script_tokens
from tokenbooth.proving.observations import PriceSeen
from tokenbooth.proving.plans import CallKind, CallPlan
from tokenbooth.proving.stage import KeyPlan, ModelPlan, OrgPlan, StagePlan

CHUNKS = 12
# One for each token, then the finish reason, the usage, and [DONE].
EVENTS = CHUNKS + 3
WHOLE_PLACES = (0, 1, CHUNKS // 2, CHUNKS - 1)
RACES = 24
RACE_DELAY_MS = 3
BLIND_PAUSE_MS = 100
PRICE = PriceSeen(input_pico=1_234_567, cached_pico=123_457, output_pico=4_999_999)
CREDIT_NANO = 1_000_000_000
FAR, NEAR = "far", "near"
# " call", "-" and the number.
MARK_TOKENS = 3
# By the documented bound, for an engine that told no usage: a token for each byte and these.
BOUND_TOKENS = 64 + 16


class Place(StrEnum):
    """SILENT: the engine has fallen silent and still runs; ENDED: the answer is all out; RACING:
    the engine goes on while the client hangs up."""

    SILENT = "silent"
    ENDED = "ended"
    RACING = "racing"


@dataclass(frozen=True, slots=True)
class Cut:
    """A call that is cut; ``delivered`` is how many tokens its client has, or at least has."""

    plan: CallPlan
    place: Place
    delivered: int

    @property
    def far(self) -> bool:
        """Whether the engine is an upstream, which can tell when it was left."""
        return self.plan.model == FAR

    @property
    def input_tokens(self) -> int:
        """As the engine counts them."""
        return script_tokens(len(_script(self.place, 0)), MARK_TOKENS)

    @property
    def charged_input_tokens(self) -> int:
        """Of a call that is cut: an upstream that is left tells no usage."""
        return len(self.plan.prompt) + BOUND_TOKENS if self.far else self.input_tokens


def stage_plan(engine_url: str, parallel: int) -> StagePlan:
    """One key, and the same script behind an upstream and inside the server."""
    far = ModelPlan(
        name=FAR,
        price=PRICE,
        output_tokens_max=CHUNKS,
        upstream_url=engine_url,
        concurrency_max=2 * parallel,
        queue_max=2 * parallel,
    )
    near = ModelPlan(
        name=NEAR,
        price=PRICE,
        output_tokens_max=CHUNKS,
        script={"turn_commands": "true"},
        concurrency_max=2 * parallel,
        queue_max=2 * parallel,
    )
    return StagePlan(
        orgs=(OrgPlan("main", CREDIT_NANO),), models=(far, near), keys=(KeyPlan("caller"),)
    )


def cuts(seed: int) -> tuple[Cut, ...]:
    """Every place of a stream and some of a whole answer, in both manners, on both engines; then
    races. In random order."""
    draw = Draw(seed, "disconnect")
    places = draw.shuffled([*_places(), *_races(draw)])
    return tuple(_cut(number, *place) for number, place in enumerate(places))


_Wish = tuple[str, Place, bool, bool, int]


def _places() -> Iterator[_Wish]:
    """Model, place, whether streamed, whether abrupt, and after how many events."""
    for model in (FAR, NEAR):
        for abrupt in (False, True):
            for events in range(EVENTS + 1):
                place = Place.SILENT if events < CHUNKS else Place.ENDED
                yield model, place, True, abrupt, events
            for tokens in WHOLE_PLACES:
                yield model, Place.SILENT, False, abrupt, tokens


def _races(draw: Draw) -> Iterator[_Wish]:
    for _ in range(RACES):
        model = draw.one_of((FAR, NEAR))
        yield model, Place.RACING, True, draw.chance(50), draw.between(1, CHUNKS - 1)


def _script(place: Place, count: int) -> dict[str, object]:
    match place:
        case Place.SILENT:
            return {"chunks": CHUNKS, "fault": "hang", "fault_after_chunks": count}
        case Place.ENDED:
            return {"chunks": CHUNKS}
        case Place.RACING:
            return {"chunks": CHUNKS, "chunk_delay_ms": RACE_DELAY_MS}


def _cut(number: int, model: str, place: Place, stream: bool, abrupt: bool, count: int) -> Cut:
    blind = not stream or count == 0
    mark = f"call-{number:06d}"
    plan = CallPlan(
        number=number,
        kind=CallKind.STREAM_CUT if stream else CallKind.WHOLE_CUT,
        key="caller",
        prompt=f"{script_prompt(**_script(place, count))} {mark}",
        model=model,
        stream=stream,
        include_usage=stream,
        cut_after_events=count if stream else 0,
        pause_ms=BLIND_PAUSE_MS if blind and model == NEAR else 0,
        abrupt=abrupt,
    )
    assert plan.mark == mark, "the engine knows a call by the mark in its prompt"
    return Cut(plan, place, min(count, CHUNKS) if stream else 0)
