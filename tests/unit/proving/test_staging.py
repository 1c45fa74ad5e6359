"""The stage of a drill, set in a real instance without its server."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tokenbooth.access.keys import service as keys
from tokenbooth.booth import Booth, SystemRandomness, open_booth
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
from tokenbooth.proving.observations import PriceSeen
from tokenbooth.proving.stage import KeyPlan, ModelPlan, OrgPlan, ProjectPlan, StagePlan
from tokenbooth.proving.staging import clear_stage, set_stage

T = TypeVar("T")
URL = "http://127.0.0.1:9/v1"
PRICE = PriceSeen(input_pico=1_234_567, cached_pico=123_457, output_pico=4_999_999)
SCRIPT = {"chunks": "3"}
PLAN = StagePlan(
    orgs=(OrgPlan("rich", 10**12), OrgPlan("poor", 10**6, cap_nano=10**5)),
    projects=(ProjectPlan("capped", "rich", 777),),
    keys=(
        KeyPlan("plain", "rich"),
        KeyPlan("tight", "rich", "capped", cap_nano=5),
        KeyPlan("penny", "poor"),
    ),
    models=(
        ModelPlan(name="far", price=PRICE, output_tokens_max=99, upstream_url=URL),
        ModelPlan(name="near", price=PRICE, output_tokens_max=7, script=SCRIPT, queue_max=5),
    ),
)


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


def limits_of(settings: Settings, secret: str) -> dict[LimitScope, int | None]:
    """Of a key that works and may do everything."""

    def verb(booth: Booth, op: Op, tx: Tx) -> dict[LimitScope, int | None]:
        caller = keys.authenticate(op, tx, secret, booth.secrets.pepper)
        assert caller.scopes == frozenset(Scope)
        states = ledger.limits(op, tx, ledger.chain_of(caller))
        return {state.scope: state.limit_nano for state in states}

    return look(settings, verb)


def test_every_planned_key_works_under_its_caps(settings: Settings) -> None:
    stage = set_stage(settings, PLAN, "x")
    assert set(stage.keys) == {plan.name for plan in PLAN.keys}
    found = {
        name: tuple(limits_of(settings, key.secret).values()) for name, key in stage.keys.items()
    }
    assert found == {
        "plain": (10**12, None, None, None),
        "tight": (10**12, None, 777, 5),
        "penny": (10**6, 10**5, None, None),
    }


def test_each_organization_has_a_reader_without_a_cap(settings: Settings) -> None:
    stage = set_stage(settings, PLAN, "x")
    caps = {name: limits_of(settings, secret) for name, secret in stage.readers.items()}
    assert {name: caps[name][LimitScope.BALANCE] for name in caps} == {
        "rich": 10**12,
        "poor": 10**6,
    }
    assert all(cap[LimitScope.KEY] is None for cap in caps.values())


def test_no_pace_comes_between_a_drill_and_the_money(settings: Settings) -> None:
    set_stage(settings, PLAN, "x")
    for line in look(settings, lambda _booth, op, tx: accounts.organizations(op, tx)):
        limits = line.org.limits
        paces = (limits.requests_per_minute, limits.tokens_per_minute, limits.parallel_calls)
        assert all(pace is not None and pace >= 10**6 for pace in paces)


def test_models_are_offered_at_the_price_that_the_laws_compute_with(settings: Settings) -> None:
    stage = set_stage(settings, PLAN, "x")

    def verb(_booth: Booth, op: Op, tx: Tx) -> None:
        assert {model.name for model in catalog.models(op, tx)} == set(stage.prices)
        for name, price in stage.prices.items():
            lines = prices.current(op, tx, name).lines
            assert lines[Meter.INPUT] == price.input_pico
            assert lines[Meter.CACHED_INPUT] == price.cached_pico
            assert lines[Meter.OUTPUT] == price.output_pico

    look(settings, verb)
    assert set(stage.prices.values()) == {PRICE}


def test_a_model_is_upstream_or_scripted(settings: Settings) -> None:
    stage = set_stage(settings, PLAN, "x")

    def verb(_booth: Booth, op: Op, tx: Tx) -> None:
        far, near = (catalog.model_by(op, tx, stage.model(name).name) for name in ("far", "near"))
        (upstream,), (scripted,) = far.deployments, near.deployments
        assert (upstream.engine, upstream.upstream_url) == (catalog.EngineKind.UPSTREAM, URL)
        assert (scripted.engine, scripted.options) == (catalog.EngineKind.SCRIPTED, SCRIPT)
        assert (far.output_tokens_max, near.output_tokens_max) == (99, 7)
        assert scripted.queue_max == 5

    look(settings, verb)
    assert stage.model(None) == stage.model("far")


def test_two_stages_stand_beside_each_other(settings: Settings) -> None:
    first, second = (set_stage(settings, PLAN, suffix) for suffix in ("a", "b"))
    found = look(settings, lambda _booth, op, tx: accounts.organizations(op, tx))
    assert {line.org.name for line in found} == {*first.orgs.values(), *second.orgs.values()}
    assert not set(first.prices) & set(second.prices)


def test_the_same_stage_twice_is_refused(settings: Settings) -> None:
    set_stage(settings, PLAN, "a")
    with pytest.raises(Problem):
        set_stage(settings, PLAN, "a")


def test_clearing_takes_the_models_and_leaves_the_books(settings: Settings) -> None:
    clear_stage(settings, set_stage(settings, PLAN, "a"))

    def verb(_booth: Booth, op: Op, tx: Tx) -> tuple[int, int, bool]:
        found = ledger.verify(op, tx)
        sound = found.difference_nano == 0 and not found.problems
        return len(catalog.models(op, tx)), len(accounts.organizations(op, tx)), sound

    assert look(settings, verb) == (0, len(PLAN.orgs), True)
