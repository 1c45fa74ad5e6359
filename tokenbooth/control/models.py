"""Models on offer: adding one with its weights or its sealed upstream key, and trying one."""

import asyncio
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tokenbooth.catalog.cards import service as cards
from tokenbooth.catalog.cards.service import Card, CardAsk
from tokenbooth.catalog.models import service as catalog
from tokenbooth.catalog.models.service import DeploymentAsk, EngineKind, Model, ModelAsk
from tokenbooth.control.prices import current_price
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, RunEnd, Usage
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Clock, Ids, Randomness, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Message, Role, TextPart, Turn
from tokenbooth.engines.port import Engine
from tokenbooth.launch.stages import service as stages
from tokenbooth.money.prices.service import Price

GGUF_MAGIC = b"GGUF"
NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
TEST_PROMPT = "Say hello in one short sentence."
TEST_OUTPUT_TOKENS_MAX = 32
TEST_CHARACTERS_MAX = 4096


@dataclass(frozen=True, slots=True)
class ModelLine:
    """A model with the price in force, ``None`` where it has none and cannot be called."""

    model: Model
    price: Price | None


@dataclass(frozen=True, slots=True)
class ModelTrial:
    """What one turn through an engine gave; ``first_output_us`` is ``None`` without output."""

    text: str
    usage: Usage | None
    input_tokens_counted: int
    first_output_us: int | None
    duration_us: int


@dataclass(frozen=True, slots=True)
class Seal:
    """What sealing an upstream key needs from outside."""

    key: bytes
    randomness: Randomness


def gguf_deployment(
    path: Path, engine: EngineKind, options: Mapping[str, str] = NO_OPTIONS
) -> DeploymentAsk:
    """A deployment of local weights. Raises INVALID_VALUE for a file that is not GGUF."""
    absolute = path.expanduser().absolute()
    try:
        with absolute.open("rb") as stream:
            magic = stream.read(len(GGUF_MAGIC))
    except OSError as error:
        raise Problem(
            Code.INVALID_VALUE, f"{absolute} cannot be read: {error.strerror}.", param="gguf"
        ) from error
    if magic != GGUF_MAGIC:
        raise Problem(Code.INVALID_VALUE, f"{absolute} is not a GGUF file.", param="gguf")
    return DeploymentAsk(engine=engine, gguf_path=str(absolute), options=options)


def static_deployment(path: Path) -> DeploymentAsk:
    """A deployment of static embeddings. Raises INVALID_VALUE for a file that is no archive."""
    absolute = path.expanduser().absolute()
    if not zipfile.is_zipfile(absolute):
        raise Problem(
            Code.INVALID_VALUE, f"{absolute} is no zip archive or wheel.", param="embeddings"
        )
    return DeploymentAsk(engine=EngineKind.STATIC, gguf_path=str(absolute))


def upstream_deployment(
    url: str, upstream_model: str | None, key_secret: str | None, seal: Seal
) -> DeploymentAsk:
    """A deployment of another server; its key is sealed before it goes anywhere."""
    sealed = None
    if key_secret is not None:
        sealed = catalog.seal(key_secret.encode(), seal.key, seal.randomness)
    return DeploymentAsk(
        engine=EngineKind.UPSTREAM,
        upstream_url=url,
        upstream_model=upstream_model,
        upstream_key_sealed=sealed,
        concurrency_max=64,
    )


def scripted_deployment() -> DeploymentAsk:
    """A deployment of the deterministic demo engine."""
    return DeploymentAsk(engine=EngineKind.SCRIPTED, concurrency_max=64)


def add_model(op: Op, tx: Tx, ask: ModelAsk, ids: Ids) -> ModelLine:
    """Raises ALREADY_EXISTS, or INVALID_VALUE naming the field.

    A model that was offered and priced before keeps its price. An upstream does not tell its
    limits, and without one no call could be priced in advance.
    """
    unbounded = ask.context_tokens is None and ask.output_tokens_max is None
    if unbounded and any(d.engine is EngineKind.UPSTREAM for d in ask.deployments):
        raise Problem(
            Code.INVALID_VALUE,
            "State the context window of an upstream's model: --context TOKENS.",
            param="context",
        )
    return ModelLine(catalog.add_model(op, tx, ask, ids), current_price(op, tx, ask.name))


def remove_model(op: Op, tx: Tx, name: str) -> None:
    """Its prices, its meter events and its weights stay. Raises MODEL_NOT_FOUND."""
    catalog.remove_model(op, tx, name)


def describe_model(op: Op, tx: Tx, name: str, ask: CardAsk) -> Card:
    """Say this of a model on offer. Raises MODEL_NOT_FOUND, what ``describe`` raises, and
    STATE_CONFLICT for a word on the stage of a model whose stage is decided."""
    model = catalog.model_by(op, tx, name).name
    if ask.stage is not None and stages.standing(op, tx, model) is not None:
        raise Problem(
            Code.STATE_CONFLICT,
            f"The stage of {model!r} is decided by `tokenbooth stage set`; leave --stage out.",
            param="stage",
        )
    return cards.describe(op, tx, model, ask)


def models(op: Op, tx: Tx) -> tuple[ModelLine, ...]:
    return tuple(
        ModelLine(model, current_price(op, tx, model.name)) for model in catalog.models(op, tx)
    )


def model_line(op: Op, tx: Tx, name: str) -> ModelLine:
    """Raises MODEL_NOT_FOUND."""
    return ModelLine(catalog.model_by(op, tx, name), current_price(op, tx, name))


async def try_model(engine: Engine, name: str, clock: Clock, *, wait_max_s: int) -> ModelTrial:
    """Run one short turn through an opened engine; no money moves.

    Raises the engine's own Problem, or RUN_TIMEOUT after ``wait_max_s``.
    """
    turn = Turn(
        model=name,
        messages=(Message(role=Role.USER, parts=(TextPart(TEST_PROMPT),)),),
        output_tokens_max=TEST_OUTPUT_TOKENS_MAX,
    )
    counted = await engine.count_input_tokens(turn)
    started_us = clock.monotonic_us()
    ear = _Ear(clock)
    run = engine.start(turn, ear)
    try:
        async with asyncio.timeout(wait_max_s):
            end = await ear.over
    except TimeoutError as error:
        raise Problem(
            Code.RUN_TIMEOUT, f"The model gave no complete answer within {wait_max_s} s."
        ) from error
    finally:
        run.cancel()
    first_us = None if ear.first_us is None else ear.first_us - started_us
    return ModelTrial(
        text="".join(ear.pieces)[:TEST_CHARACTERS_MAX],
        usage=end.usage,
        input_tokens_counted=counted.tokens,
        first_output_us=first_us,
        duration_us=clock.monotonic_us() - started_us,
    )


class _Ear:
    """Collects what a run pushes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.pieces: list[str] = []
        self.first_us: int | None = None
        self.over: asyncio.Future[RunEnd] = asyncio.get_running_loop().create_future()

    def delta(self, delta: Delta) -> None:
        if self.first_us is None:
            self.first_us = self._clock.monotonic_us()
        self.pieces.append(delta.text)

    def ended(self, end: RunEnd) -> None:
        if not self.over.done():
            self.over.set_result(end)

    def failed(self, problem: Problem) -> None:
        if not self.over.done():
            self.over.set_exception(problem)
