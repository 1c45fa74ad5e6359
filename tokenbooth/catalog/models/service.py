"""Verbs on models and deployments."""

from tokenbooth.catalog.models import sql
from tokenbooth.catalog.models.rules import checked_ask, is_name
from tokenbooth.catalog.models.sealing import seal, unseal
from tokenbooth.catalog.models.values import (
    Deployment,
    DeploymentAsk,
    EngineKind,
    Model,
    ModelAsk,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Ids, Tx
from tokenbooth.core.problem import Problem

__all__ = [
    "Deployment",
    "DeploymentAsk",
    "EngineKind",
    "Model",
    "ModelAsk",
    "add_model",
    "model_by",
    "models",
    "remove_model",
    "revision",
    "seal",
    "unseal",
]


def add_model(op: Op, tx: Tx, ask: ModelAsk, ids: Ids) -> Model:
    """Offer a model. Raises Problem naming the wrong field, or ALREADY_EXISTS."""
    checked_ask(ask)
    model = Model(
        id=ids.new("model"),
        name=ask.name,
        context_tokens=ask.context_tokens,
        output_tokens_max=ask.output_tokens_max,
        created_us=op.now(),
        deployments=tuple(_deployment(ask.name, each, ids) for each in ask.deployments),
    )
    sql.raise_revision(tx, op.now(), op.actor)
    if not sql.insert_model(tx, model, op.actor):
        raise Problem(Code.ALREADY_EXISTS, "A model of that name is offered.", param="name")
    return model


def remove_model(op: Op, tx: Tx, name: str) -> None:
    """Offer it no longer; its prices and its calls' records stay. Raises MODEL_NOT_FOUND."""
    sql.raise_revision(tx, op.now(), op.actor)
    if not (is_name(name) and sql.delete_model(tx, name)):
        raise _not_found()


def models(op: Op, tx: Tx) -> tuple[Model, ...]:
    """All models by name, each with its deployments in their order."""
    return sql.select_models(tx)


def model_by(op: Op, tx: Tx, name: str) -> Model:
    """Raises Problem MODEL_NOT_FOUND."""
    model = sql.select_model(tx, name) if is_name(name) else None
    if model is None:
        raise _not_found()
    return model


def revision(op: Op, tx: Tx) -> int:
    """Rises with every change of any model; 0 in an empty catalog."""
    return sql.select_revision(tx)


def _deployment(model_name: str, ask: DeploymentAsk, ids: Ids) -> Deployment:
    return Deployment(
        id=ids.new("dep"),
        model_name=model_name,
        engine=ask.engine,
        gguf_path=ask.gguf_path,
        upstream_url=ask.upstream_url,
        upstream_model=ask.upstream_model,
        upstream_key_sealed=ask.upstream_key_sealed,
        concurrency_max=ask.concurrency_max,
        queue_max=ask.queue_max,
        queue_wait_max_s=ask.queue_wait_max_s,
        options=dict(ask.options),
    )


def _not_found() -> Problem:
    return Problem(Code.MODEL_NOT_FOUND, "No model of that name is offered here.", param="model")
