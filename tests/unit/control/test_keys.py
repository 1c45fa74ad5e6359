"""A key and its cap are one: made together, kept through rotation, ended by revocation."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.ops import CountingIds, ManualClock
from tokenbooth.access.keys import service as access_keys
from tokenbooth.catalog.models.service import ModelAsk
from tokenbooth.control import accounts, documents, keys, models
from tokenbooth.core.caller import CallLimits, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger

USD = 10**9
HOUR_US = 3600 * 10**6


def who(op: Op, tx: Tx, mint: keys.Mint, secret: str) -> Any:
    return access_keys.authenticate(op, tx, secret, mint.pepper)


def test_a_key_works_and_carries_its_cap(
    op: Op, tx: Tx, mint: keys.Mint, new_key: Callable[..., Any]
) -> None:
    minted = new_key(cap_nano=2 * USD, limits=CallLimits(requests_per_minute=5))
    caller = who(op, tx, mint, minted.secret)
    assert caller.scopes == frozenset(Scope)
    assert caller.key_limits.requests_per_minute == 5
    states = ledger.limits(op, tx, ledger.chain_of(caller))
    assert [state.limit_nano for state in states] == [10 * USD, None, None, 2 * USD]


def test_a_key_for_an_unknown_model_is_refused_and_leaves_nothing(
    op: Op, tx: Tx, new_key: Callable[..., Any]
) -> None:
    with pytest.raises(Problem) as caught:
        new_key(models=frozenset({"nothing"}))
    assert caught.value.code is Code.MODEL_NOT_FOUND
    assert keys.keys(op, tx, None) == ()


def test_a_key_may_be_bound_to_models(
    op: Op, tx: Tx, ids: CountingIds, mint: keys.Mint, new_key: Callable[..., Any]
) -> None:
    ask = ModelAsk(name="m", deployments=(models.scripted_deployment(),))
    models.add_model(op, tx, ask, ids)
    assert who(op, tx, mint, new_key(models=frozenset({"m"})).secret).models == frozenset({"m"})


@pytest.mark.parametrize("fields", [{"org": "nobody"}, {"project": "none"}])
def test_a_key_of_an_unknown_place_is_refused(
    new_key: Callable[..., Any], fields: dict[str, str]
) -> None:
    with pytest.raises(Problem) as caught:
        new_key(**fields)
    assert caught.value.code is Code.NAME_NOT_FOUND


def test_keys_are_listed_by_organization_without_secrets(
    op: Op, tx: Tx, ids: CountingIds, mint: keys.Mint, new_key: Callable[..., Any]
) -> None:
    minted = new_key(cap_nano=USD)
    accounts.create_organization(op, tx, accounts.OrganizationAsk("other"), ids)
    foreign = keys.create_key(op, tx, keys.NewKey(org="other", name="f"), mint)
    (line,) = keys.keys(op, tx, "acme")
    assert line.key.id == minted.key.id
    assert line.limits[0].limit_nano == USD
    assert {each.key.id for each in keys.keys(op, tx, None)} == {minted.key.id, foreign.key.id}
    assert minted.secret not in repr(documents.key_line_json(line))


def test_rotation_keeps_the_id_and_the_cap_and_ends_the_old_secret(
    op: Op, tx: Tx, clock: ManualClock, mint: keys.Mint, new_key: Callable[..., Any]
) -> None:
    minted = new_key(cap_nano=USD)
    renewed = keys.rotate_key(op, tx, minted.key.id, 3600, mint)
    assert renewed.key.id == minted.key.id
    assert who(op, tx, mint, minted.secret).key_id == renewed.key.id
    clock.us += HOUR_US + 1
    assert who(op, tx, mint, renewed.secret).key_id == minted.key.id
    with pytest.raises(Problem) as caught:
        who(op, tx, mint, minted.secret)
    assert caught.value.code is Code.EXPIRED_KEY
    (state,) = ledger.limits(op, tx, ((LimitScope.KEY, minted.key.id),))
    assert state.limit_nano == USD


def test_a_revoked_key_is_dead_and_says_so(
    op: Op, tx: Tx, mint: keys.Mint, new_key: Callable[..., Any]
) -> None:
    minted = new_key()
    assert documents.key_state(minted.key) == "live"
    revoked = keys.revoke_key(op, tx, minted.key.id)
    assert documents.key_state(revoked) == "revoked"
    with pytest.raises(Problem) as caught:
        who(op, tx, mint, minted.secret)
    assert caught.value.code is Code.REVOKED_KEY


def test_an_expiring_key_tells_when(
    op: Op, clock: ManualClock, new_key: Callable[..., Any]
) -> None:
    minted = new_key(expires_us=clock.us + HOUR_US)
    assert documents.key_state(minted.key) == "until 2023-11-14T23:13:20Z"


def test_a_cap_is_changed_and_lifted(op: Op, tx: Tx, new_key: Callable[..., Any]) -> None:
    key_id = new_key(cap_nano=USD).key.id
    assert keys.cap_key(op, tx, key_id, 3 * USD).limits[0].limit_nano == 3 * USD
    assert keys.cap_key(op, tx, key_id, None).limits[0].limit_nano is None


@pytest.mark.parametrize(
    "verb",
    [
        lambda op, tx, mint: keys.cap_key(op, tx, "key_none", USD),
        lambda op, tx, mint: keys.rotate_key(op, tx, "key_none", 0, mint),
        lambda op, tx, mint: keys.revoke_key(op, tx, "key_none"),
    ],
    ids=["cap", "rotate", "revoke"],
)
def test_an_unknown_key_is_named(op: Op, tx: Tx, mint: keys.Mint, verb: Any) -> None:
    with pytest.raises(Problem) as caught:
        verb(op, tx, mint)
    assert caught.value.code is Code.NAME_NOT_FOUND
