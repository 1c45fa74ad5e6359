"""The catalog over the real stores: the same answers on both, races included."""

import asyncio
from typing import Any

from tests.support.ops import CountingIds, make_op
from tokenbooth.catalog.models import service as catalog
from tokenbooth.catalog.models.service import DeploymentAsk, EngineKind, Model, ModelAsk
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.open import AsyncStore, open_store
from tokenbooth.store.options import StoreOptions

OP = make_op()
FULL = DeploymentAsk(
    engine=EngineKind.UPSTREAM,
    upstream_url="https://example.com/v1",
    upstream_model="their/ñame",
    upstream_key_sealed=bytes(range(256)),
    options={"pool_max": "9"},
)


async def add(store: AsyncStore, name: str, ids: CountingIds) -> Model | Code:
    ask = ModelAsk(name=name, deployments=(FULL, FULL), context_tokens=2**31 - 1)
    try:
        return await store.write(lambda tx: catalog.add_model(OP, tx, ask, ids))
    except Problem as problem:
        return problem.code


def play(options: StoreOptions, scene: Any) -> None:
    async def whole() -> None:
        store = open_store(options)
        try:
            await scene(store)
        finally:
            await store.close()

    asyncio.run(whole())


def test_a_model_comes_back_as_it_was_added(store_options: StoreOptions) -> None:
    async def scene(store: AsyncStore) -> None:
        added = await add(store, "org/small:v1", CountingIds())
        found = await store.read(lambda tx: catalog.model_by(OP, tx, "org/small:v1"))
        assert found == added
        assert found.deployments[0].upstream_key_sealed == bytes(range(256))
        await store.write(lambda tx: catalog.remove_model(OP, tx, "org/small:v1"))
        assert await store.read(lambda tx: catalog.models(OP, tx)) == ()
        assert await store.read(lambda tx: catalog.revision(OP, tx)) == 2

    play(store_options, scene)


def test_of_many_who_take_a_name_at_once_one_gets_it(store_options: StoreOptions) -> None:
    async def scene(store: AsyncStore) -> None:
        ids = CountingIds()
        ends = await asyncio.gather(*(add(store, "m", ids) for _ in range(8)))
        assert sorted(end is Code.ALREADY_EXISTS for end in ends) == [False] + [True] * 7
        assert await store.read(lambda tx: catalog.revision(OP, tx)) == 1

    play(store_options, scene)


def test_no_change_is_lost_to_the_revision(store_options: StoreOptions) -> None:
    async def scene(store: AsyncStore) -> None:
        ids = CountingIds()
        await asyncio.gather(*(add(store, f"m{n}", ids) for n in range(12)))
        assert await store.read(lambda tx: catalog.revision(OP, tx)) == 12
        models = await store.read(lambda tx: catalog.models(OP, tx))
        assert len(models) == 12
        assert all(len(model.deployments) == 2 for model in models)

    play(store_options, scene)


def test_a_refused_change_leaves_the_revision(store_options: StoreOptions) -> None:
    async def scene(store: AsyncStore) -> None:
        for name in ("nobody", "\0", "a b"):
            try:
                await store.write(lambda tx, name=name: catalog.remove_model(OP, tx, name))
            except Problem as problem:
                assert problem.code is Code.MODEL_NOT_FOUND  # noqa: PT017 - an async call
            else:
                raise AssertionError(name)
        assert await store.read(lambda tx: catalog.revision(OP, tx)) == 0

    play(store_options, scene)
