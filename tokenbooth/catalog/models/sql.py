"""Statements on models and deployments."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import IntegrityError

from tokenbooth.catalog.models.values import Deployment, EngineKind, Model
from tokenbooth.core.ports import Tx
from tokenbooth.store.tables.catalog import CATALOG_REVISION, DEPLOYMENT, MODEL

# One statement on both databases, so that two first changes at once cannot meet.
_RAISE_REVISION = text(
    "INSERT INTO catalog_revision (singleton, revision, changed_us, changed_by) "
    "VALUES (1, 1, :changed_us, :changed_by) "
    "ON CONFLICT (singleton) DO UPDATE SET revision = catalog_revision.revision + 1, "
    "changed_us = excluded.changed_us, changed_by = excluded.changed_by"
)
_WITH_DEPLOYMENTS = (
    select(
        MODEL.c.id.label("model_id"),
        MODEL.c.name,
        MODEL.c.context_tokens,
        MODEL.c.output_tokens_max,
        MODEL.c.created_us,
        *(column for column in DEPLOYMENT.c if column.name != "model_id"),
    )
    .join(DEPLOYMENT, DEPLOYMENT.c.model_id == MODEL.c.id)
    .order_by(MODEL.c.name, DEPLOYMENT.c.position)
)


def insert_model(tx: Tx, model: Model, author: str) -> bool:
    """False when the name is taken; the transaction must then be given up."""
    try:
        tx.execute(
            insert(MODEL).values(
                id=model.id,
                name=model.name,
                context_tokens=model.context_tokens,
                output_tokens_max=model.output_tokens_max,
                created_us=model.created_us,
                created_by=author,
            )
        )
    except IntegrityError:
        return False
    tx.execute(
        insert(DEPLOYMENT),
        [
            {
                "id": deployment.id,
                "model_id": model.id,
                "position": position,
                "engine": deployment.engine.value,
                "gguf_path": deployment.gguf_path,
                "upstream_url": deployment.upstream_url,
                "upstream_model": deployment.upstream_model,
                "upstream_key_sealed": deployment.upstream_key_sealed,
                "concurrency_max": deployment.concurrency_max,
                "queue_max": deployment.queue_max,
                "queue_wait_max_s": deployment.queue_wait_max_s,
                "options": json.dumps(dict(deployment.options), sort_keys=True),
            }
            for position, deployment in enumerate(model.deployments)
        ],
    )
    return True


def delete_model(tx: Tx, name: str) -> bool:
    """False when there was none."""
    model_id = select(MODEL.c.id).where(MODEL.c.name == name).scalar_subquery()
    tx.execute(delete(DEPLOYMENT).where(DEPLOYMENT.c.model_id == model_id))
    deleted: int = tx.execute(delete(MODEL).where(MODEL.c.name == name)).rowcount
    return deleted > 0


def select_models(tx: Tx) -> tuple[Model, ...]:
    return _models(tx.execute(_WITH_DEPLOYMENTS))


def select_model(tx: Tx, name: str) -> Model | None:
    found = _models(tx.execute(_WITH_DEPLOYMENTS.where(MODEL.c.name == name)))
    return found[0] if found else None


def raise_revision(tx: Tx, now_us: int, author: str) -> None:
    """Also a lock: of two changes at once, the second waits for the first."""
    tx.execute(_RAISE_REVISION, {"changed_us": now_us, "changed_by": author})


def select_revision(tx: Tx) -> int:
    """0 before the first change."""
    row = tx.execute(select(CATALOG_REVISION.c.revision)).first()
    return 0 if row is None else int(row.revision)


def _models(rows: Iterable[Any]) -> tuple[Model, ...]:
    by_name: dict[str, list[Any]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    return tuple(
        Model(
            id=first.model_id,
            name=first.name,
            context_tokens=first.context_tokens,
            output_tokens_max=first.output_tokens_max,
            created_us=first.created_us,
            deployments=tuple(_deployment(row) for row in (first, *others)),
        )
        for first, *others in by_name.values()
    )


def _deployment(row: Any) -> Deployment:
    return Deployment(
        id=row.id,
        model_name=row.name,
        engine=EngineKind(row.engine),
        gguf_path=row.gguf_path,
        upstream_url=row.upstream_url,
        upstream_model=row.upstream_model,
        upstream_key_sealed=row.upstream_key_sealed,
        concurrency_max=row.concurrency_max,
        queue_max=row.queue_max,
        queue_wait_max_s=row.queue_wait_max_s,
        options=json.loads(row.options),
    )
