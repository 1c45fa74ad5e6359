import json
from dataclasses import replace
from hashlib import sha256

import pytest
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from tests.support.ops import CountingIds, ManualClock
from tokenbooth.access.keys import service as keys
from tokenbooth.access.keys.service import KeyAsk, MintedKey
from tokenbooth.access.orgs import service as orgs
from tokenbooth.access.orgs.service import DEFAULT_ORG_LIMITS, Org, Project
from tokenbooth.core.caller import CallLimits, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms
from tokenbooth.store.tables.access import API_KEY, KEY_SECRET

PEPPER = bytes(range(32))
HOUR_S = 3600
HOUR_US = HOUR_S * 1_000_000


class Stream:
    """Different bytes at each call, the same in each run."""

    def __init__(self) -> None:
        self.calls = 0

    def token_bytes(self, count: int) -> bytes:
        self.calls += 1
        return (sha256(str(self.calls).encode()).digest() * 4)[:count]


class ClosedTx:
    """A transaction that must not be used."""

    def execute(self, statement: object, parameters: object = None) -> object:
        raise AssertionError("the database was asked")


class Booth:
    """One organization with a project, and short words for the verbs."""

    def __init__(self, op: Op, tx: Connection, ids: CountingIds) -> None:
        self.op, self.tx, self.ids, self.randomness = op, tx, ids, Stream()
        self.org: Org = orgs.create_org(op, tx, "Acme", ids)
        self.project: Project = orgs.project_by(op, tx, self.org.id, "default")

    def ask(self, name: str = "web") -> KeyAsk:
        return KeyAsk(project_id=self.project.id, name=name)

    def mint(self, ask: KeyAsk | None = None) -> MintedKey:
        ask = ask or self.ask()
        return keys.mint(self.op, self.tx, ask, self.ids, self.randomness, PEPPER)

    def rotate(self, key_id: str, overlap_s: int = HOUR_S) -> MintedKey:
        return keys.rotate(self.op, self.tx, key_id, self.randomness, PEPPER, overlap_s)

    def code_of(self, secret: str) -> Code | None:
        """What authentication says of a secret: ``None`` when it is good."""
        try:
            keys.authenticate(self.op, self.tx, secret, PEPPER)
        except Problem as problem:
            return problem.code
        return None


@pytest.fixture
def booth(op: Op, tx: Connection, ids: CountingIds) -> Booth:
    return Booth(op, tx, ids)


def test_a_minted_key_authenticates(booth: Booth, clock: ManualClock) -> None:
    ask = replace(
        booth.ask(),
        scopes=frozenset({Scope.READ}),
        models=frozenset({"b", "a"}),
        expires_us=clock.us + HOUR_US,
        limits=CallLimits(1, 2, 3),
    )
    minted = booth.mint(ask)
    caller = keys.authenticate(booth.op, booth.tx, minted.secret, PEPPER)
    assert caller.org_id == booth.org.id
    assert caller.project_id == booth.project.id
    assert caller.key_id == minted.key.id
    assert caller.scopes == frozenset({Scope.READ})
    assert caller.models == frozenset({"a", "b"})
    assert caller.key_limits == CallLimits(1, 2, 3)
    assert caller.org_limits == DEFAULT_ORG_LIMITS
    assert caller.end_customer is None


def test_a_minted_key_can_be_read_back(booth: Booth) -> None:
    minted = booth.mint()
    assert keys.keys(booth.op, booth.tx, booth.org.id) == (minted.key,)
    assert keys.key_by(booth.op, booth.tx, minted.key.id) == minted.key
    assert minted.secret.startswith(minted.key.prefix)
    assert minted.secret.endswith(minted.key.last_four)
    assert minted.key.models is None


def test_a_caller_comes_with_the_data_terms_of_its_project(booth: Booth) -> None:
    secret = booth.mint().secret
    for terms in (DataTerms.PRIVATE, DataTerms.CONTRIBUTOR):
        orgs.set_data_terms(booth.op, booth.tx, booth.project, terms)
        caller = keys.authenticate(booth.op, booth.tx, secret, PEPPER)
        assert caller.data_terms is terms


def test_every_secret_is_new(booth: Booth) -> None:
    assert len({booth.mint().secret for _ in range(20)}) == 20


def test_the_secret_stands_nowhere(booth: Booth) -> None:
    minted = booth.mint()
    body = minted.secret[12:-4]
    rows = [
        *booth.tx.execute(select(API_KEY)).mappings(),
        *booth.tx.execute(select(KEY_SECRET)).mappings(),
    ]
    stored = json.dumps([dict(row) for row in rows], default=repr)
    assert body not in stored
    assert minted.secret not in repr(minted)
    assert body not in repr(keys.keys(booth.op, booth.tx, None))


@pytest.mark.parametrize("project_id", ["proj_nobody", "default", "\0", "\ud800"])
def test_a_key_needs_a_project(booth: Booth, project_id: str) -> None:
    with pytest.raises(Problem) as caught:
        booth.mint(replace(booth.ask(), project_id=project_id))
    assert caught.value.code is Code.NAME_NOT_FOUND
    assert caught.value.param == "project"


def test_an_impossible_wish_writes_nothing(booth: Booth, clock: ManualClock) -> None:
    with pytest.raises(Problem) as caught:
        booth.mint(replace(booth.ask(), expires_us=clock.us))
    assert caught.value.param == "expires"
    assert keys.keys(booth.op, booth.tx, None) == ()


def test_a_wrong_checksum_never_reaches_the_database(booth: Booth) -> None:
    secret = booth.mint().secret
    mistyped = secret[:20] + ("a" if secret[20] != "a" else "b") + secret[21:]
    for text in (mistyped, "", "sk-1", "\ud800", secret + "x"):
        with pytest.raises(Problem) as caught:
            keys.authenticate(booth.op, ClosedTx(), text, PEPPER)
        assert caught.value.code is Code.INVALID_KEY


def test_an_unknown_secret_is_invalid(booth: Booth) -> None:
    secret = booth.mint().secret
    booth.tx.execute(KEY_SECRET.delete())
    assert booth.code_of(secret) is Code.INVALID_KEY


def test_another_pepper_knows_no_key(booth: Booth) -> None:
    secret = booth.mint().secret
    with pytest.raises(Problem) as caught:
        keys.authenticate(booth.op, booth.tx, secret, bytes(32))
    assert caught.value.code is Code.INVALID_KEY


def test_a_key_expires_at_its_time(booth: Booth, clock: ManualClock) -> None:
    secret = booth.mint(replace(booth.ask(), expires_us=clock.us + 10)).secret
    clock.us += 9
    assert booth.code_of(secret) is None
    clock.us += 1
    assert booth.code_of(secret) is Code.EXPIRED_KEY


def test_a_revoked_key_is_refused_for_good(booth: Booth, clock: ManualClock) -> None:
    minted = booth.mint()
    revoked = keys.revoke(booth.op, booth.tx, minted.key.id)
    assert revoked.revoked_us == clock.us
    assert booth.code_of(minted.secret) is Code.REVOKED_KEY
    assert keys.key_by(booth.op, booth.tx, minted.key.id) == revoked


def test_revoking_twice_keeps_the_first_time(booth: Booth, clock: ManualClock) -> None:
    minted = booth.mint()
    first = keys.revoke(booth.op, booth.tx, minted.key.id)
    clock.us += 5
    assert keys.revoke(booth.op, booth.tx, minted.key.id) == first


def test_revocation_names_who_did_it(booth: Booth) -> None:
    minted = booth.mint()
    keys.revoke(replace(booth.op, actor="console"), booth.tx, minted.key.id)
    row = booth.tx.execute(select(API_KEY)).one()
    assert (row.created_by, row.revoked_by) == ("operator", "console")


def test_revocation_leaves_other_keys_alone(booth: Booth) -> None:
    first, second = booth.mint(), booth.mint()
    keys.revoke(booth.op, booth.tx, first.key.id)
    assert booth.code_of(second.secret) is None


@pytest.mark.parametrize("key_id", ["key_nobody", "", "\0", "\ud800", "x" * 200])
def test_unknown_keys_are_not_found(booth: Booth, key_id: str) -> None:
    for verb in (
        lambda: keys.revoke(booth.op, booth.tx, key_id),
        lambda: keys.key_by(booth.op, booth.tx, key_id),
        lambda: booth.rotate(key_id),
    ):
        with pytest.raises(Problem) as caught:
            verb()
        assert caught.value.code is Code.NAME_NOT_FOUND
        assert caught.value.param == "key"


def test_another_tenant_neither_sees_nor_revokes_a_key(booth: Booth) -> None:
    minted = booth.mint()
    other = orgs.create_org(booth.op, booth.tx, "Other", booth.ids)
    assert keys.keys(booth.op, booth.tx, other.id) == ()
    for verb in (keys.key_by, keys.revoke):
        with pytest.raises(Problem) as caught:
            verb(booth.op, booth.tx, minted.key.id, other.id)
        assert caught.value.code is Code.NAME_NOT_FOUND
    assert booth.code_of(minted.secret) is None
    assert keys.key_by(booth.op, booth.tx, minted.key.id, booth.org.id) == minted.key
    assert keys.revoke(booth.op, booth.tx, minted.key.id, booth.org.id).revoked_us is not None


def test_rotation_gives_a_new_secret_to_the_same_key(booth: Booth) -> None:
    minted = booth.mint()
    rotated = booth.rotate(minted.key.id)
    assert rotated.secret != minted.secret
    assert rotated.key.id == minted.key.id
    assert rotated.key == keys.key_by(booth.op, booth.tx, minted.key.id)
    assert rotated.secret.endswith(rotated.key.last_four)
    assert len(keys.keys(booth.op, booth.tx, None)) == 1


def test_the_old_secret_is_good_for_the_overlap(booth: Booth, clock: ManualClock) -> None:
    minted = booth.mint()
    rotated = booth.rotate(minted.key.id, HOUR_S)
    clock.us += HOUR_US - 1
    assert booth.code_of(minted.secret) is None
    assert booth.code_of(rotated.secret) is None
    clock.us += 1
    assert booth.code_of(minted.secret) is Code.EXPIRED_KEY
    assert booth.code_of(rotated.secret) is None


def test_without_overlap_the_old_secret_ends_at_once(booth: Booth) -> None:
    minted = booth.mint()
    booth.rotate(minted.key.id, 0)
    assert booth.code_of(minted.secret) is Code.EXPIRED_KEY


def test_a_second_rotation_never_lengthens_an_earlier_overlap(
    booth: Booth, clock: ManualClock
) -> None:
    first = booth.mint()
    second = booth.rotate(first.key.id, HOUR_S)
    third = booth.rotate(first.key.id, 2 * HOUR_S)
    clock.us += HOUR_US
    assert booth.code_of(first.secret) is Code.EXPIRED_KEY
    assert booth.code_of(second.secret) is None
    clock.us += HOUR_US
    assert booth.code_of(second.secret) is Code.EXPIRED_KEY
    assert booth.code_of(third.secret) is None


def test_a_second_rotation_can_shorten_an_earlier_overlap(booth: Booth) -> None:
    first = booth.mint()
    booth.rotate(first.key.id, HOUR_S)
    booth.rotate(first.key.id, 0)
    assert booth.code_of(first.secret) is Code.EXPIRED_KEY


def test_rotation_leaves_the_keys_own_expiry(booth: Booth, clock: ManualClock) -> None:
    minted = booth.mint(replace(booth.ask(), expires_us=clock.us + 10))
    rotated = booth.rotate(minted.key.id, HOUR_S)
    clock.us += 10
    assert booth.code_of(minted.secret) is Code.EXPIRED_KEY
    assert booth.code_of(rotated.secret) is Code.EXPIRED_KEY


def test_revocation_ends_every_secret(booth: Booth) -> None:
    minted = booth.mint()
    rotated = booth.rotate(minted.key.id)
    keys.revoke(booth.op, booth.tx, minted.key.id)
    assert booth.code_of(minted.secret) is Code.REVOKED_KEY
    assert booth.code_of(rotated.secret) is Code.REVOKED_KEY


def test_rotation_of_one_key_leaves_others_alone(booth: Booth) -> None:
    first, second = booth.mint(), booth.mint()
    booth.rotate(first.key.id, 0)
    assert booth.code_of(second.secret) is None


def test_a_dead_key_is_not_rotated(booth: Booth, clock: ManualClock) -> None:
    revoked, expired = booth.mint(), booth.mint(replace(booth.ask(), expires_us=clock.us + 1))
    keys.revoke(booth.op, booth.tx, revoked.key.id)
    clock.us += 1
    for minted, word in ((revoked, "revoked"), (expired, "expired")):
        with pytest.raises(Problem, match=word) as caught:
            booth.rotate(minted.key.id)
        assert caught.value.code is Code.STATE_CONFLICT


def test_an_impossible_overlap_is_refused(booth: Booth) -> None:
    minted = booth.mint()
    with pytest.raises(Problem) as caught:
        booth.rotate(minted.key.id, -1)
    assert caught.value.param == "overlap_s"
    assert booth.code_of(minted.secret) is None


def test_running_calls_learn_of_dead_keys(booth: Booth, clock: ManualClock) -> None:
    live, revoked = booth.mint(), booth.mint()
    expired = booth.mint(replace(booth.ask(), expires_us=clock.us + 1))
    later = booth.mint(replace(booth.ask(), expires_us=clock.us + 2))
    keys.revoke(booth.op, booth.tx, revoked.key.id)
    clock.us += 1
    asked = [minted.key.id for minted in (live, revoked, expired, later)]
    dead = keys.revoked_among(booth.op, booth.tx, [*asked, "key_unknown"])
    assert dead == {revoked.key.id, expired.key.id, "key_unknown"}


def test_nobody_running_means_nothing_is_asked(booth: Booth) -> None:
    assert keys.revoked_among(booth.op, ClosedTx(), []) == frozenset()


def test_many_running_calls_are_asked_for_in_portions(booth: Booth) -> None:
    live = {booth.mint().key.id for _ in range(3)}
    unknown = {f"key_{number}" for number in range(1201)}
    assert keys.revoked_among(booth.op, booth.tx, live | unknown) == unknown


def test_keys_are_listed_page_by_page(booth: Booth) -> None:
    minted = [booth.mint().key for _ in range(5)]
    first = keys.keys(booth.op, booth.tx, None, limit=2)
    second = keys.keys(booth.op, booth.tx, booth.org.id, after=first[-1].id, limit=9)
    assert [*first, *second] == minted


@pytest.mark.parametrize("after", ["\0", "\ud800", "x" * 200])
def test_an_impossible_page_is_refused(booth: Booth, after: str) -> None:
    with pytest.raises(Problem) as caught:
        keys.keys(booth.op, booth.tx, None, after=after)
    assert caught.value.param == "after"


def test_the_database_itself_keeps_keys_inside_their_organization(booth: Booth) -> None:
    minted = booth.mint()
    other = orgs.create_org(booth.op, booth.tx, "Other", booth.ids)
    with pytest.raises(IntegrityError), booth.tx.begin_nested():
        booth.tx.execute(
            update(API_KEY).where(API_KEY.c.id == minted.key.id).values(org_id=other.id)
        )
    assert keys.key_by(booth.op, booth.tx, minted.key.id).org_id == booth.org.id


def test_the_database_itself_allows_one_endless_secret_of_a_key(booth: Booth) -> None:
    minted = booth.mint()
    booth.rotate(minted.key.id)
    with pytest.raises(IntegrityError), booth.tx.begin_nested():
        booth.tx.execute(update(KEY_SECRET).values(expires_us=None))
    assert len(keys.keys(booth.op, booth.tx, None)) == 1
