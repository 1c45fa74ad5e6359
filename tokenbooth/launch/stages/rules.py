"""Who may pass a stage, which moves open a model further, and what is told of an end."""

from collections.abc import Sequence

from tokenbooth.core.codes import Code
from tokenbooth.core.days import date_of
from tokenbooth.core.problem import Problem
from tokenbooth.launch.stages.values import WHOLE_MODEL, Door, Stage, StageAsk, Standing

US_PER_S = 1_000_000
S_PER_DAY = 86_400
YEAR_9999_US = 253_370_764_800_000_000
REASON_CHARACTERS_MAX = 500
NAME_CHARACTERS_MAX = 64
ORDER = tuple(Stage)
OPEN_TO_ALL = frozenset({Stage.PUBLIC_PREVIEW, Stage.GA, Stage.DEPRECATED})
# How many organizations can call: the public of a preview is as large as that of what is final,
# but what is promised to it is not.
_REACH = {
    Stage.CLOSED: 0,
    Stage.WAITLIST: 0,
    Stage.PRIVATE_PREVIEW: 1,
    Stage.PUBLIC_PREVIEW: 2,
    Stage.GA: 3,
    Stage.DEPRECATED: 3,
    Stage.RETIRED: 0,
}
_GATED = {1: Stage.PRIVATE_PREVIEW, 2: Stage.PUBLIC_PREVIEW, 3: Stage.GA}
_WEEKDAYS = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def gated_edges(now: Stage, to: Stage) -> tuple[Stage, ...]:
    """The stages whose gates must all pass for this move, nearest first; none for a move back.

    Nothing is skipped: from closed to public preview also the gates of private preview count.
    """
    return tuple(_GATED[reach] for reach in range(_REACH[now] + 1, _REACH[to] + 1))


def stage_below(stage: Stage) -> Stage:
    """Where something falls to that may not stay where it is."""
    reach = max(_REACH[stage] - 1, 0)
    return Stage.WAITLIST if reach == 0 else _GATED[reach]


def checked_ask(ask: StageAsk, now_us: int) -> StageAsk:
    """The wish itself, or INVALID_VALUE naming the field."""
    ending = ask.stage in (Stage.DEPRECATED, Stage.RETIRED)
    if ask.sunset_us is not None:
        if ask.stage is not Stage.DEPRECATED:
            raise _invalid("Only a deprecated model has a date of its end.", "sunset")
        if not now_us < ask.sunset_us < YEAR_9999_US:
            raise _invalid("A model can only be announced to end later.", "sunset")
    if ask.successor is not None and (not ending or ask.successor == ask.model):
        raise _invalid("A successor is another model, for one that ends.", "successor")
    if len(ask.successor or "") > NAME_CHARACTERS_MAX or not (ask.successor or "").isprintable():
        raise _invalid(f"A name has up to {NAME_CHARACTERS_MAX} characters.", "successor")
    if len(ask.reason) > REASON_CHARACTERS_MAX or not ask.reason.isprintable():
        raise _invalid(
            f"The reason has up to {REASON_CHARACTERS_MAX} characters, none of them a control"
            " character.",
            "reason",
        )
    return ask


def door_of(standings: Sequence[Standing]) -> Door | None:
    """What step 4 needs of the newest standings of one model; ``None`` where all is simply open."""
    whole = next((each for each in standings if each.capability == WHOLE_MODEL), None)
    parts = tuple(e for e in standings if e.capability != WHOLE_MODEL and e.stage is not Stage.GA)
    if whole is None:
        return Door(stage=Stage.GA, parts=parts) if parts else None
    if whole.stage in (Stage.GA, Stage.PUBLIC_PREVIEW) and not parts:
        return None
    return Door(
        stage=whole.stage,
        sunset_us=whole.sunset_us,
        successor=whole.successor,
        headers=end_headers(whole),
        parts=parts,
    )


def end_headers(standing: Standing) -> tuple[tuple[str, str], ...]:
    """``Deprecation`` (RFC 9745) and ``Sunset`` (RFC 8594) of what is on its way out."""
    if standing.stage is not Stage.DEPRECATED:
        return ()
    told = (("deprecation", f"@{standing.effective_us // US_PER_S}"),)
    if standing.sunset_us is None:
        return told
    return (*told, ("sunset", http_date(standing.sunset_us)))


def http_date(time_us: int) -> str:
    """``Sun, 06 Nov 1994 08:49:37 GMT``: the form that HTTP wants (RFC 9110, 5.6.7)."""
    day, second = divmod(time_us // US_PER_S, S_PER_DAY)
    year, month, in_month = date_of(day)
    minute, second = divmod(second, 60)
    clock = f"{minute // 60:02d}:{minute % 60:02d}:{second:02d}"
    return f"{_WEEKDAYS[day % 7]}, {in_month:02d} {_MONTHS[month - 1]} {year:04d} {clock} GMT"


def refusal(model: str, door: Door) -> Problem:
    """Why nobody outside a cohort may call: in words that say what to do."""
    if door.stage is Stage.CLOSED:
        return Problem(
            Code.MODEL_NOT_FOUND, "No model of that name is offered here.", param="model"
        )
    if door.stage is Stage.RETIRED:
        then = f" Use {door.successor!r}." if door.successor else " See `GET /v1/models`."
        return Problem(Code.MODEL_RETIRED, f"The model {model!r} is retired.{then}", param="model")
    how = "has a waitlist" if door.stage is Stage.WAITLIST else "is in private preview"
    return Problem(
        Code.MODEL_NOT_OPEN,
        f"The model {model!r} {how}, and this organization is not invited yet."
        " Ask the operator for a place.",
        param="model",
        facts={"stage": door.stage.value},
    )


def part_refusal(model: str, part: Standing, param: str | None) -> Problem:
    """Why this caller may not use one capability."""
    how = {
        Stage.PRIVATE_PREVIEW: "in private preview, and this organization is not invited yet",
        Stage.WAITLIST: "not open yet; there is a waitlist",
        Stage.RETIRED: "retired",
    }.get(part.stage, "not open yet")
    return Problem(
        Code.MODEL_NOT_OPEN,
        f"{part.capability} of the model {model!r} is {how}. Leave it out, or ask the operator.",
        param=param,
        facts={"stage": part.stage.value, "capability": part.capability},
    )


def _invalid(said: str, param: str) -> Problem:
    return Problem(Code.INVALID_VALUE, said, param=param)
