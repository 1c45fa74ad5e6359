"""Fills a private instance with organizations, keys and scripted models before it is started."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tokenbooth.booth import Booth, open_booth
from tokenbooth.catalog.models import service as catalog
from tokenbooth.control import accounts, keys, models, prices
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.money.prices.service import PriceAsk
from tokenbooth.proving.instance import PrivateInstance

T = TypeVar("T")
INPUT_PICO, OUTPUT_PICO = 1_000_000, 4_000_000
CREDIT_NANO = 100 * 10**9


@dataclass(frozen=True)
class Script:
    """A model of the scripted engine; ``options`` are its ScriptOptions as texts."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    concurrency_max: int = 64
    queue_max: int = 64
    priced: bool = True


def in_booth(instance: PrivateInstance, verb: Callable[[Booth, Op, Tx], T]) -> T:
    """Run one transaction on the instance's own store, as an operator's command would."""

    async def run() -> T:
        async with open_booth(instance.settings()) as booth:
            op = booth.op()
            return await booth.store.write(lambda tx: verb(booth, op, tx))

    return asyncio.run(run())


def new_account(
    instance: PrivateInstance, name: str, *, credit_nano: int = CREDIT_NANO, **key: Any
) -> str:
    """An organization with credit and one key; returns the key's secret."""

    def make(booth: Booth, op: Op, tx: Tx) -> str:
        accounts.create_organization(op, tx, accounts.OrganizationAsk(name), booth.ids)
        if credit_nano:
            accounts.add_credit(op, tx, name, credit_nano, f"first-{name}")
        mint = booth.mint
        return keys.create_key(op, tx, keys.NewKey(org=name, name="k", **key), mint).secret

    return in_booth(instance, make)


def add_scripts(instance: PrivateInstance, *scripts: Script) -> None:
    """Priced models of the scripted engine."""

    def make(booth: Booth, op: Op, tx: Tx) -> None:
        for script in scripts:
            deployment = catalog.DeploymentAsk(
                engine=catalog.EngineKind.SCRIPTED,
                options=script.options,
                concurrency_max=script.concurrency_max,
                queue_max=script.queue_max,
            )
            ask = catalog.ModelAsk(name=script.name, deployments=(deployment,))
            catalog.add_model(op, tx, ask, booth.ids)
            if script.priced:
                price = PriceAsk(script.name, INPUT_PICO, OUTPUT_PICO)
                prices.price_model(op, tx, price, booth.ids, confirmed=True)

    in_booth(instance, make)


def add_local(
    instance: PrivateInstance,
    name: str,
    gguf_path: str,
    kind: catalog.EngineKind = catalog.EngineKind.EMBEDDED,
    **options: str,
) -> None:
    """A priced model of a local engine."""

    def make(booth: Booth, op: Op, tx: Tx) -> None:
        deployment = catalog.DeploymentAsk(engine=kind, gguf_path=gguf_path, options=options)
        catalog.add_model(op, tx, catalog.ModelAsk(name=name, deployments=(deployment,)), booth.ids)
        price = PriceAsk(name, INPUT_PICO, OUTPUT_PICO)
        prices.price_model(op, tx, price, booth.ids, confirmed=True)

    in_booth(instance, make)


def add_upstream(instance: PrivateInstance, name: str, url: str) -> None:
    """A priced model behind an OpenAI-compatible server at ``url``."""

    def make(booth: Booth, op: Op, tx: Tx) -> None:
        deployment = catalog.DeploymentAsk(
            engine=catalog.EngineKind.UPSTREAM, upstream_url=url, options={}, concurrency_max=64
        )
        ask = catalog.ModelAsk(
            name=name, deployments=(deployment,), context_tokens=8192, output_tokens_max=2048
        )
        catalog.add_model(op, tx, ask, booth.ids)
        price = PriceAsk(name, INPUT_PICO, OUTPUT_PICO)
        prices.price_model(op, tx, price, booth.ids, confirmed=True)

    in_booth(instance, make)


def add_table(instance: PrivateInstance, name: str, path: Path) -> None:
    """A priced model of static embeddings."""

    def make(booth: Booth, op: Op, tx: Tx) -> None:
        ask = catalog.ModelAsk(name=name, deployments=(models.static_deployment(path),))
        catalog.add_model(op, tx, ask, booth.ids)
        prices.price_model(op, tx, PriceAsk(name, INPUT_PICO, 0), booth.ids, confirmed=True)

    in_booth(instance, make)
