"""Step 4, gate: what this caller may have of this model, and what it can cost at most."""

from dataclasses import replace
from itertools import groupby

from tokenbooth.admission.rates import service as rates
from tokenbooth.catalog.models import service as catalog
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature, asked_features, media_param
from tokenbooth.core.noun import named_noun, noun
from tokenbooth.core.op import Op
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.engines.port import Engine
from tokenbooth.engines.prompts import count_input_tokens, single_turns
from tokenbooth.gateway.door import NO_NOTICES, Notices, let_in
from tokenbooth.gateway.media import Basket
from tokenbooth.gateway.prefixes import Match, rank
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.rules import (
    OutputAsk,
    billed_input_tokens,
    output_limit,
    within_rate,
)
from tokenbooth.gateway.shaped import (
    Shape,
    asks_for_form,
    lacks_form,
    shape_of,
    told_in_words,
)
from tokenbooth.money.prices import service as prices
from tokenbooth.protocols.dialect import Dialect, Note, Parsed

_FORMS = frozenset({Feature.JSON_OBJECT, Feature.JSON_SCHEMA})


@noun
class Candidate:
    """A deployment that may run the turn, with its opened engine."""

    deployment: catalog.Deployment
    engine: Engine


@noun
class Reader:
    """Whose media is read, and what keeps it."""

    caller: Caller
    basket: Basket


@named_noun
class Weighed:
    """Who may run the turn, the turn as it is run, and its prompt as the longest of them counts it.

    ``context_tokens`` is the shortest window that is known, into which ``prompt_tokens_max`` must
    fit: all of the input, or the longest of several raw prompts. ``input_exact`` says that no count
    is only a bound. ``shape`` is what was asked of the form of the answer, ``uses`` what the turn's
    media is charged for besides tokens.
    """

    candidates: tuple[Candidate, ...]
    parsed: Parsed
    shape: Shape
    uses: prices.Uses
    context_tokens: int | None
    input_tokens: int
    prompt_tokens_max: int
    input_exact: bool


@named_noun
class Grant:
    """``input_tokens`` is the worst case over the candidates; ``output_tokens_max`` is of one
    choice, before the money is asked. ``match`` is the prompt beside the last one of its
    conversation. ``notices`` are headers that tell of the end of what was asked for."""

    caller: Caller
    parsed: Parsed
    shape: Shape
    candidates: tuple[Candidate, ...]
    price: prices.Price
    input_tokens: int
    input_exact: bool
    output_tokens_max: int
    match: Match
    notices: Notices = NO_NOTICES


def check_allowed(caller: Caller, model: str) -> None:
    """Raises MODEL_NOT_ALLOWED when the key's list has not this model."""
    if caller.models is not None and model not in caller.models:
        raise Problem(
            Code.MODEL_NOT_ALLOWED, f"This key may not use the model {model!r}.", param="model"
        )


async def gate(
    rooms: Rooms, op: Op, dialect: Dialect, caller: Caller, parsed: Parsed, basket: Basket
) -> Grant:
    """Raises MODEL_NOT_ALLOWED, MODEL_NOT_FOUND, MODEL_NOT_OPEN, MODEL_RETIRED, PRICE_UNKNOWN,
    PRICE_NOT_OFFERED, UNSUPPORTED_FEATURE, CONTEXT_LENGTH_EXCEEDED, INVALID_VALUE or
    ENGINE_NOT_READY, and what reading stored responses and media raises."""
    turn = parsed.turn
    check_allowed(caller, turn.model)
    offered = await rooms.directory.model(op, turn.model)
    model, notices = offered.model, NO_NOTICES
    if offered.door is not None:
        caller, notices = await let_in(rooms.directory, op, dialect, caller, turn, offered.door)
    parsed = await rooms.responses.recalled(op, caller, parsed)
    turn = parsed.turn
    price = await rooms.directory.price(op, question_of(caller, turn))
    found = await weighed(rooms, op, dialect, parsed, model, Reader(caller, basket))
    input_tokens, context, exact = found.input_tokens, found.context_tokens, found.input_exact
    ask = OutputAsk(
        turn.output_tokens_max, model.output_tokens_max, context, found.prompt_tokens_max, exact
    )
    output_tokens_max = output_limit(ask, param=dialect.output_limit_param)
    if turn.output_tokens_max is None:
        fit_tokens = rates.tokens_fit_max(caller)
        output_tokens_max = within_rate(output_tokens_max, input_tokens, turn.choices, fit_tokens)
    match = rooms.prefixes.match(caller, found.parsed.turn)
    return Grant(
        caller=caller,
        parsed=found.parsed,
        shape=found.shape,
        candidates=_by_session(rooms, found.candidates, match.session),
        price=price if found.uses is prices.NO_USES else replace(price, uses=found.uses),
        input_tokens=billed_input_tokens(input_tokens, context, len(single_turns(turn))),
        input_exact=exact,
        output_tokens_max=output_tokens_max,
        match=match,
        notices=notices,
    )


async def weighed(
    rooms: Rooms, op: Op, dialect: Dialect, parsed: Parsed, model: catalog.Model, reader: Reader
) -> Weighed:
    """Raises UNSUPPORTED_FEATURE or ENGINE_NOT_READY, and what reading media raises, and an engine
    that counts."""
    candidates = await _candidates(rooms, dialect, parsed.turn, model.deployments)
    sees = all(Feature.IMAGES in c.engine.capabilities.features for c in candidates)
    parsed, uses = await reader.basket.taken_in(op, reader.caller, parsed, sees=sees)
    parsed, shape = _shaped(_eased(parsed, dialect, candidates), dialect, candidates)
    counted = [await count_input_tokens(c.engine, parsed.turn) for c in candidates]
    windows = [model.context_tokens, *(c.engine.capabilities.context_tokens for c in candidates)]
    context = min([n for n in windows if n is not None], default=None)
    return Weighed(
        candidates=candidates,
        parsed=parsed,
        shape=shape,
        uses=uses,
        context_tokens=context,
        input_tokens=max([count.tokens for count, _ in counted]),
        prompt_tokens_max=max([longest for _, longest in counted]),
        input_exact=all(count.exact for count, _ in counted),
    )


def _shaped(
    parsed: Parsed, dialect: Dialect, candidates: tuple[Candidate, ...]
) -> tuple[Parsed, Shape]:
    """The turn as these engines get it: a form that one of them does not take is told in words."""
    turn = parsed.turn
    if not turn.tools and not asks_for_form(turn):
        return parsed, Shape()
    all_of = [candidate.engine.capabilities for candidate in candidates]
    in_words = any(lacks_form(turn, each) for each in all_of)
    shape, notes = shape_of(turn, dialect, all_of, in_words=in_words)
    turn = told_in_words(turn) if in_words else turn
    return replace(parsed, turn=turn, notes=(*parsed.notes, *notes)), shape


def _eased(parsed: Parsed, dialect: Dialect, candidates: tuple[Candidate, ...]) -> Parsed:
    """Without an effort level that not every candidate takes, where the caller leaves that open;
    a note says so."""
    turn = parsed.turn
    wanted = turn.reasoning_effort is not None and turn.effort_optional
    effort = Feature.REASONING_EFFORT
    if not wanted or all(effort in c.engine.capabilities.features for c in candidates):
        return parsed
    note = Note(dialect.param_of(effort), "ignored: this model takes no effort level")
    turn = replace(turn, reasoning_effort=None)
    return replace(parsed, turn=turn, notes=(*parsed.notes, note))


def question_of(caller: Caller, turn: Turn) -> prices.PriceQuestion:
    """On which terms this caller asks."""
    return prices.PriceQuestion(
        model=turn.model,
        org_id=caller.org_id,
        tier=turn.service_tier,
        data_terms=caller.data_terms,
    )


def _by_session(
    rooms: Rooms, candidates: tuple[Candidate, ...], session: tuple[str, str]
) -> tuple[Candidate, ...]:
    """The operator's order, but among neighbours that differ only in where they run a conversation
    keeps to its own. One without a free place comes after the others."""

    def place(candidate: Candidate) -> tuple[bool, bytes]:
        deployment = candidate.deployment
        return not rooms.gates.has_room(deployment), rank(session, deployment.id)

    groups = groupby(candidates, key=_does)
    return tuple(each for _, alike in groups for each in sorted(alike, key=place))


def _does(candidate: Candidate) -> tuple[object, ...]:
    """What a deployment runs, wherever it does."""
    one = candidate.deployment
    return one.engine, one.gguf_path, one.upstream_model, sorted(one.options.items())


async def _candidates(
    rooms: Rooms, dialect: Dialect, turn: Turn, deployments: tuple[catalog.Deployment, ...]
) -> tuple[Candidate, ...]:
    """The deployments, in order, that are up and can do what the turn asks; those that take no
    form of the answer only where all others are missing."""
    fit: list[Candidate] = []
    unshaped: list[Candidate] = []
    refused: Problem | None = None
    asked = asked_features(turn)
    for deployment in deployments:
        try:
            engine = await rooms.engines.engine(deployment)
        except Problem as problem:
            refused = refused or problem
            continue
        if turn.embedding is None and not engine.capabilities.writes:
            refused = refused or Problem(
                Code.UNSUPPORTED_FEATURE,
                f"The model {turn.model!r} makes embeddings and writes no text.",
                param="model",
            )
            continue
        missing = [f for f in asked if f not in engine.capabilities.features]
        if not missing:
            fit.append(Candidate(deployment, engine))
            continue
        if set(missing) <= _FORMS:
            unshaped.append(Candidate(deployment, engine))
            continue
        refused = refused or Problem(
            Code.UNSUPPORTED_FEATURE,
            f"The model {turn.model!r} does not support {missing[0].value}.",
            param=media_param(turn, missing[0]) or dialect.param_of(missing[0]),
        )
    if fit or unshaped:
        return tuple(fit or unshaped)
    raise refused or Problem(
        Code.ENGINE_NOT_READY, f"The model {turn.model!r} has no deployment now.", retry_after_s=30
    )
