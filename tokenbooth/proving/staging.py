"""Sets the stage of the mixed drill: organizations, keys, models and prices, before the server."""

import asyncio

from tokenbooth.boot import Booth, open_booth
from tokenbooth.catalog.models.service import DeploymentAsk, EngineKind, ModelAsk
from tokenbooth.config import Settings
from tokenbooth.control import accounts, keys, models, prices
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.money.prices.service import PriceAsk
from tokenbooth.proving.schedule import (
    CREDIT_NANO,
    KEYS,
    OUTPUT_TOKENS_MAX,
    PROJECT_CAP_NANO,
    KeyPlan,
)
from tokenbooth.proving.stage import PRICE, Stage, StageKey

CONTEXT_TOKENS = 8192
# Long enough that a revocation arrives while the answer is still running.
SLOW_SCRIPT = {"chunks": "200", "chunk_delay_ms": "100"}


def set_stage(settings: Settings, suffix: str, engine_url: str, parallel: int) -> Stage:
    """Make everything; ``suffix`` makes its names unique in a store that others use too."""

    async def work() -> Stage:
        async with open_booth(settings) as booth:
            return await booth.store.write(
                lambda tx: _set(booth, booth.op("drill"), tx, (suffix, engine_url, parallel))
            )

    return asyncio.run(work())


def clear_stage(settings: Settings, stage: Stage) -> None:
    """Take the models off a store that outlives the drill; the books stay."""

    async def work() -> None:
        async with open_booth(settings) as booth:
            await booth.store.write(lambda tx: _remove(booth.op("drill"), tx, stage))

    asyncio.run(work())


def _remove(op: Op, tx: Tx, stage: Stage) -> None:
    for name in (stage.model, stage.slow_model):
        models.remove_model(op, tx, name)


def _set(booth: Booth, op: Op, tx: Tx, asked: tuple[str, str, int]) -> Stage:
    suffix, engine_url, parallel = asked
    orgs = {name: f"drill-{name}-{suffix}" for name in CREDIT_NANO}
    for name, amount_nano in CREDIT_NANO.items():
        ask = accounts.OrganizationAsk(orgs[name])
        accounts.create_organization(op, tx, ask, booth.ids)
        accounts.add_credit(op, tx, orgs[name], amount_nano, f"drill {orgs[name]}")
    accounts.create_project(
        op, tx, orgs["main"], "capped", cap_nano=PROJECT_CAP_NANO, ids=booth.ids
    )
    upstream = DeploymentAsk(
        engine=EngineKind.UPSTREAM,
        upstream_url=engine_url,
        upstream_model="mock",
        concurrency_max=2 * parallel,
        queue_max=4 * parallel,
    )
    slow = DeploymentAsk(engine=EngineKind.SCRIPTED, options=SLOW_SCRIPT, concurrency_max=8)
    stage = Stage(f"drill-{suffix}", f"drill-slow-{suffix}", orgs, {})
    for name, deployment in ((stage.model, upstream), (stage.slow_model, slow)):
        _offer(booth, op, tx, name, deployment)
    stage.keys.update({plan.name: _make_key(booth, op, tx, plan, orgs) for plan in KEYS})
    return stage


def _offer(booth: Booth, op: Op, tx: Tx, name: str, deployment: DeploymentAsk) -> None:
    ask = ModelAsk(
        name=name,
        deployments=(deployment,),
        context_tokens=CONTEXT_TOKENS,
        output_tokens_max=OUTPUT_TOKENS_MAX,
    )
    models.add_model(op, tx, ask, booth.ids)
    price = PriceAsk(name, PRICE.input_pico, PRICE.output_pico, PRICE.cached_pico)
    prices.price_model(op, tx, price, booth.ids, confirmed=True)


def _make_key(booth: Booth, op: Op, tx: Tx, plan: KeyPlan, orgs: dict[str, str]) -> StageKey:
    ask = keys.NewKey(
        org=orgs[plan.org], project=plan.project, name=plan.name, cap_nano=plan.cap_nano
    )
    minted = keys.create_key(op, tx, ask, booth.mint)
    return StageKey(minted.key.id, minted.secret, plan.org)
