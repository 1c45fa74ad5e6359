"""The stage of the drill, set in a real instance without its server."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tokenbooth.access.keys import service as keys
from tokenbooth.boot import Booth, SystemRandomness, open_booth
from tokenbooth.catalog.models import service as catalog
from tokenbooth.config import Settings, commented_defaults, load_settings
from tokenbooth.control import accounts
from tokenbooth.control.setup import init_instance
from tokenbooth.core.caller import Scope
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import Meter
from tokenbooth.proving.schedule import (
    CREDIT_NANO,
    KEYS,
    OUTPUT_TOKENS_MAX,
    PROJECT_CAP_NANO,
    SCRIPT_CHUNKS,
)
from tokenbooth.proving.stage import PRICE, Stage
from tokenbooth.proving.staging import SLOW_SCRIPT, clear_stage, set_stage

T = TypeVar("T")
URL = "http://127.0.0.1:9/v1"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    loaded = load_settings(tmp_path, {"TOKENBOOTH_LOG__LEVEL": "error"}).settings
    init_instance(tmp_path, loaded.store, commented_defaults(), SystemRandomness())
    return loaded


def look(settings: Settings, verb: Callable[[Booth, Op, Tx], T]) -> T:
    async def scene() -> T:
        async with open_booth(settings) as booth:
            return await booth.store.read(lambda tx: verb(booth, booth.op(), tx))

    return asyncio.run(scene())


def test_every_planned_key_works_and_carries_its_cap(settings: Settings) -> None:
    stage = set_stage(settings, "x", URL, 8)
    assert set(stage.keys) == {plan.name for plan in KEYS}

    def verb(booth: Booth, op: Op, tx: Tx) -> None:
        for plan in KEYS:
            made = stage.keys[plan.name]
            caller = keys.authenticate(op, tx, made.secret, booth.secrets.pepper)
            assert (caller.key_id, caller.scopes) == (made.id, frozenset(Scope))
            limits = {
                state.scope: state for state in ledger.limits(op, tx, ledger.chain_of(caller))
            }
            assert limits[LimitScope.KEY].limit_nano == plan.cap_nano
            assert limits[LimitScope.BALANCE].limit_nano == CREDIT_NANO[plan.org]
            project_cap = PROJECT_CAP_NANO if plan.project == "capped" else None
            assert limits[LimitScope.PROJECT].limit_nano == project_cap

    look(settings, verb)


def test_both_models_are_offered_at_the_price_that_the_checks_compute_with(
    settings: Settings,
) -> None:
    stage = set_stage(settings, "x", URL, 8)

    def verb(_booth: Booth, op: Op, tx: Tx) -> None:
        assert {model.name for model in catalog.models(op, tx)} == set(stage.prices)
        for name, price in stage.prices.items():
            lines = prices.current(op, tx, name).lines
            assert lines[Meter.INPUT] == price.input_pico
            assert lines[Meter.CACHED_INPUT] == price.cached_pico
            assert lines[Meter.OUTPUT] == price.output_pico
            model = catalog.model_by(op, tx, name)
            assert model.output_tokens_max == OUTPUT_TOKENS_MAX

    look(settings, verb)


def test_one_model_is_upstream_and_the_other_outlasts_a_revocation(settings: Settings) -> None:
    stage = set_stage(settings, "x", URL, 8)

    def verb(_booth: Booth, op: Op, tx: Tx) -> None:
        (upstream,) = catalog.model_by(op, tx, stage.model).deployments
        (slow,) = catalog.model_by(op, tx, stage.slow_model).deployments
        assert (upstream.engine, upstream.upstream_url) == (catalog.EngineKind.UPSTREAM, URL)
        assert upstream.concurrency_max >= 8
        assert (slow.engine, slow.options) == (catalog.EngineKind.SCRIPTED, SLOW_SCRIPT)

    look(settings, verb)
    assert int(SLOW_SCRIPT["chunks"]) * int(SLOW_SCRIPT["chunk_delay_ms"]) >= 10_000


def test_two_stages_stand_beside_each_other(settings: Settings) -> None:
    first, second = (set_stage(settings, suffix, URL, 8) for suffix in ("a", "b"))
    found = look(settings, lambda _booth, op, tx: accounts.organizations(op, tx))
    assert {line.org.name for line in found} == {*first.orgs.values(), *second.orgs.values()}
    assert not set(first.prices) & set(second.prices)


def test_the_same_stage_twice_is_refused(settings: Settings) -> None:
    set_stage(settings, "a", URL, 8)
    with pytest.raises(Problem):
        set_stage(settings, "a", URL, 8)


def test_clearing_takes_the_models_and_leaves_the_books(settings: Settings) -> None:
    stage = set_stage(settings, "a", URL, 8)
    clear_stage(settings, stage)

    def verb(_booth: Booth, op: Op, tx: Tx) -> tuple[int, int, bool]:
        found = ledger.verify(op, tx)
        sound = found.difference_nano == 0 and not found.problems
        return len(catalog.models(op, tx)), len(accounts.organizations(op, tx)), sound

    assert look(settings, verb) == (0, len(CREDIT_NANO), True)


def test_caps_lie_where_calls_cross_them() -> None:
    """A cap between one and a few answers makes the edge; the smallest buys nothing at all."""
    answer_nano = SCRIPT_CHUNKS * PRICE.output_pico // 1000
    caps = [plan.cap_nano for plan in KEYS if plan.cap_nano is not None]
    assert min(caps) < PRICE.output_pico // 1000
    for cap in [*sorted(caps)[1:], PROJECT_CAP_NANO, CREDIT_NANO["poor"]]:
        assert answer_nano < cap < 10 * answer_nano
    assert CREDIT_NANO["main"] > 10_000 * answer_nano


def test_a_stage_prices_all_its_models() -> None:
    stage = Stage("m", "s", {}, {})
    assert stage.prices == {"m": PRICE, "s": PRICE}
