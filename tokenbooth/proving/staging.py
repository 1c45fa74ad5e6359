"""Sets the stage of a drill: organizations, keys, models and prices, before the server starts."""

import asyncio

from tokenbooth.booth import Booth, open_booth
from tokenbooth.catalog.models.service import DeploymentAsk, EngineKind, ModelAsk
from tokenbooth.config import Settings
from tokenbooth.control import accounts, keys, models, prices
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.money.prices.service import PriceAsk
from tokenbooth.proving.stage import KeyPlan, ModelPlan, Stage, StageKey, StageModel, StagePlan

# A drill is about money: no limit on the pace of calls may come in between.
BOUNDLESS = CallLimits(1_000_000_000, 1_000_000_000_000, 1_000_000)


def set_stage(settings: Settings, plan: StagePlan, suffix: str) -> Stage:
    """Make everything; ``suffix`` makes its names unique in a store that others use too."""

    async def work() -> Stage:
        async with open_booth(settings) as booth:
            return await booth.store.write(
                lambda tx: _Setting(booth, booth.op("drill"), tx, suffix).make(plan)
            )

    return asyncio.run(work())


def clear_stage(settings: Settings, stage: Stage) -> None:
    """Take the models off a store that outlives the drill; the books stay."""

    async def work() -> None:
        async with open_booth(settings) as booth:
            await booth.store.write(lambda tx: _remove(booth.op("drill"), tx, stage))

    asyncio.run(work())


def _remove(op: Op, tx: Tx, stage: Stage) -> None:
    for model in stage.models.values():
        models.remove_model(op, tx, model.name)


class _Setting:
    """One transaction that makes a stage."""

    def __init__(self, booth: Booth, op: Op, tx: Tx, suffix: str) -> None:
        self._booth = booth
        self._op = op
        self._tx = tx
        self._suffix = suffix

    def make(self, plan: StagePlan) -> Stage:
        op, tx, ids = self._op, self._tx, self._booth.ids
        orgs = {org.name: f"drill-{org.name}-{self._suffix}" for org in plan.orgs}
        for org in plan.orgs:
            name = orgs[org.name]
            ask = accounts.OrganizationAsk(name, BOUNDLESS, org.cap_nano)
            accounts.create_organization(op, tx, ask, ids)
            accounts.add_credit(op, tx, name, org.credit_nano, f"drill {name}")
        for project in plan.projects:
            accounts.create_project(
                op, tx, orgs[project.org], project.name, cap_nano=project.cap_nano, ids=ids
            )
        made = {key.name: self._key(key, orgs) for key in plan.keys}
        readers = {org: self._key(KeyPlan(f"reader-{org}", org), orgs).secret for org in orgs}
        offered = {model.name: self._offer(model) for model in plan.models}
        return Stage(orgs, offered, made, readers)

    def _offer(self, plan: ModelPlan) -> StageModel:
        name = f"drill-{plan.name}-{self._suffix}"
        upstream = plan.upstream_url is not None
        deployment = DeploymentAsk(
            engine=EngineKind.UPSTREAM if upstream else EngineKind.SCRIPTED,
            options=plan.script,
            upstream_url=plan.upstream_url,
            upstream_model="mock" if upstream else None,
            concurrency_max=plan.concurrency_max,
            queue_max=plan.queue_max,
        )
        ask = ModelAsk(
            name=name,
            deployments=(deployment,),
            context_tokens=plan.context_tokens,
            output_tokens_max=plan.output_tokens_max,
        )
        models.add_model(self._op, self._tx, ask, self._booth.ids)
        cells = (plan.price.input_pico, plan.price.output_pico, plan.price.cached_pico)
        prices.price_model(
            self._op, self._tx, PriceAsk(name, *cells), self._booth.ids, confirmed=True
        )
        return StageModel(name, plan.price)

    def _key(self, plan: KeyPlan, orgs: dict[str, str]) -> StageKey:
        ask = keys.NewKey(
            org=orgs[plan.org], project=plan.project, name=plan.name, cap_nano=plan.cap_nano
        )
        minted = keys.create_key(self._op, self._tx, ask, self._booth.mint)
        return StageKey(minted.key.id, minted.secret, plan.org)
