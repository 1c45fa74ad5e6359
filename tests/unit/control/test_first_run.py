"""The first account of a booth: made once, mended where something moved, never doubled."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.ops import CountingIds
from tokenbooth.access.keys import service as access_keys
from tokenbooth.access.orgs import service as orgs
from tokenbooth.catalog.models import service as catalog
from tokenbooth.catalog.models.service import DeploymentAsk, EngineKind, ModelAsk
from tokenbooth.control import accounts, keys, prices
from tokenbooth.control.first_run import FirstAccount, FirstOffer, open_first_account
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices.service import Meter, PriceAsk


def local(path: str, engine: EngineKind = EngineKind.EMBEDDED) -> ModelAsk:
    return ModelAsk(name="small", deployments=(DeploymentAsk(engine=engine, gguf_path=path),))


OFFER = FirstOffer(local("/w/a.gguf"), PriceAsk("small", 100_000, 400_000), 5 * 10**9)


@pytest.fixture
def up(op: Op, tx: Tx, mint: keys.Mint) -> Any:
    def run(kept: str | None = None, offer: FirstOffer = OFFER) -> FirstAccount:
        return open_first_account(op, tx, offer, kept, mint)

    return run


def test_from_nothing_to_a_key_with_credit_and_a_priced_model(
    op: Op, tx: Tx, mint: keys.Mint, up: Any
) -> None:
    account = up()
    caller = access_keys.authenticate(op, tx, account.secret, mint.pepper)
    assert caller.org_id == account.org_id
    balance = ledger.limits(op, tx, ledger.chain_of(caller))[0]
    assert balance.remaining_nano == 5 * 10**9
    assert prices.current_price(op, tx, "small") is not None
    assert len(account.made) == 4


def test_a_second_run_adds_nothing(op: Op, tx: Tx, up: Any) -> None:
    first = up()
    second = up(first.secret)
    assert second == FirstAccount(first.org_id, first.secret, ())
    assert len(keys.keys(op, tx, None)) == 1
    assert accounts.organizations(op, tx)[0].limits[0].limit_nano == 5 * 10**9
    assert ledger.verify(op, tx).problems == ()


def test_a_lost_key_is_replaced_without_new_credit(op: Op, tx: Tx, up: Any) -> None:
    first, second = up(), up()
    assert second.secret != first.secret
    assert second.made == ("a key",)
    assert accounts.organizations(op, tx)[0].limits[0].limit_nano == 5 * 10**9


@pytest.mark.parametrize("kept", ["revoked", "of another booth", "nonsense"])
def test_a_dead_key_is_replaced(op: Op, tx: Tx, up: Any, kept: str) -> None:
    secret = kept
    if kept == "revoked":
        secret = up().secret
        keys.revoke_key(op, tx, keys.keys(op, tx, None)[0].key.id)
    assert up(secret).secret != secret


def test_an_own_price_is_kept(op: Op, tx: Tx, ids: CountingIds, up: Any) -> None:
    up()
    prices.price_model(op, tx, PriceAsk("small", 200_000, 400_000), ids, confirmed=False)
    up()
    price = prices.current_price(op, tx, "small")
    assert price is not None
    assert price.lines[Meter.INPUT] == 200_000


@pytest.mark.parametrize(
    "moved", [local("/w/b.gguf"), local("/w/a.gguf", EngineKind.LLAMACPP)], ids=["file", "engine"]
)
def test_weights_or_an_engine_that_moved_are_followed(
    op: Op, tx: Tx, up: Any, moved: ModelAsk
) -> None:
    first = up()
    again = up(first.secret, replace(OFFER, model=moved))
    assert again.made == ("model small",)
    (deployment,) = catalog.model_by(op, tx, "small").deployments
    wanted = moved.deployments[0]
    assert (deployment.engine, deployment.gguf_path) == (wanted.engine, wanted.gguf_path)


def test_an_operators_own_upstream_of_that_name_is_left_alone(
    op: Op, tx: Tx, ids: CountingIds, up: Any
) -> None:
    own = DeploymentAsk(engine=EngineKind.UPSTREAM, upstream_url="http://up/v1")
    catalog.add_model(op, tx, ModelAsk(name="small", deployments=(own,)), ids)
    assert "model small" not in up().made
    assert catalog.model_by(op, tx, "small").deployments[0].upstream_url == "http://up/v1"


@pytest.mark.parametrize(
    ("noun", "verb"),
    [(catalog, "model_by"), (orgs, "org_by"), (access_keys, "authenticate")],
    ids=["model", "organization", "key"],
)
def test_a_database_that_is_away_is_not_taken_for_something_missing(
    up: Any, monkeypatch: pytest.MonkeyPatch, noun: Any, verb: str
) -> None:
    kept = up().secret

    def away(*asked: object) -> None:
        raise Problem(Code.LEDGER_UNAVAILABLE, "away")

    monkeypatch.setattr(noun, verb, away)
    with pytest.raises(Problem) as caught:
        up(kept)
    assert caught.value.code is Code.LEDGER_UNAVAILABLE


def test_other_problems_are_not_swallowed(op: Op, tx: Tx, up: Any) -> None:
    broken = ModelAsk(name="no such name!", deployments=OFFER.model.deployments)
    with pytest.raises(Problem) as caught:
        up(None, replace(OFFER, model=broken))
    assert caught.value.code is Code.INVALID_VALUE


def test_paths_are_compared_as_text(tmp_path: Path, up: Any) -> None:
    offer = replace(OFFER, model=local(str(tmp_path / "x.gguf")))
    assert up(up(None, offer).secret, offer).made == ()
