"""Organizations and keys over the real stores: the same answers on both, races included."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from tests.support.ops import CountingIds, ManualClock, make_op
from tokenbooth.access.keys import service as keys
from tokenbooth.access.keys.service import KeyAsk, MintedKey
from tokenbooth.access.orgs import service as orgs
from tokenbooth.access.orgs.service import Org
from tokenbooth.core.caller import CallLimits, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.open import AsyncStore, open_store
from tokenbooth.store.options import StoreOptions

PEPPER = bytes(range(32))


class Booth:
    """The verbs over an open store, each in a transaction of its own."""

    def __init__(self, store: AsyncStore) -> None:
        self.store = store
        self.clock, self.ids = ManualClock(), CountingIds()
        self.op = make_op(self.clock)

    async def org(self, name: str) -> Org:
        return await self.store.write(lambda tx: orgs.create_org(self.op, tx, name, self.ids))

    async def mint(self, org: Org, **wish: Any) -> MintedKey:
        def verb(tx: Any) -> MintedKey:
            project = orgs.project_by(self.op, tx, org.id, "default")
            ask = KeyAsk(project_id=project.id, name="web", **wish)
            return keys.mint(self.op, tx, ask, self.ids, Entropy(), PEPPER)

        return await self.store.write(verb)

    async def rotate(self, key_id: str, overlap_s: int) -> MintedKey:
        return await self.store.write(
            lambda tx: keys.rotate(self.op, tx, key_id, Entropy(), PEPPER, overlap_s)
        )

    async def code_of(self, secret: str) -> Code | None:
        try:
            await self.store.read(lambda tx: keys.authenticate(self.op, tx, secret, PEPPER))
        except Problem as problem:
            return problem.code
        return None


class Entropy:
    def token_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)


Scene = Callable[[Booth], Coroutine[Any, Any, None]]


def play(options: StoreOptions, scene: Scene) -> None:
    async def whole() -> None:
        store = open_store(options)
        try:
            await scene(Booth(store))
        finally:
            await store.close()

    asyncio.run(whole())


async def code_or_result(verb: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await verb
    except Problem as problem:
        return problem.code


def test_the_life_of_a_key(store_options: StoreOptions) -> None:
    async def scene(booth: Booth) -> None:
        org = await booth.org("Bücher & Söhne")
        minted = await booth.mint(
            org,
            scopes=frozenset({Scope.READ}),
            models=frozenset({"a/b:c"}),
            limits=CallLimits(1, 2**31, None),
        )
        caller = await booth.store.read(
            lambda tx: keys.authenticate(booth.op, tx, minted.secret, PEPPER)
        )
        assert (caller.org_id, caller.key_id) == (org.id, minted.key.id)
        assert caller.models == frozenset({"a/b:c"})
        assert caller.key_limits == CallLimits(1, 2**31, None)
        rotated = await booth.rotate(minted.key.id, 10)
        assert await booth.code_of(minted.secret) is None
        booth.clock.us += 10_000_000
        assert await booth.code_of(minted.secret) is Code.EXPIRED_KEY
        assert await booth.code_of(rotated.secret) is None
        listed = await booth.store.read(lambda tx: keys.keys(booth.op, tx, org.id))
        assert listed == (rotated.key,)
        await booth.store.write(lambda tx: keys.revoke(booth.op, tx, minted.key.id))
        assert await booth.code_of(rotated.secret) is Code.REVOKED_KEY

    play(store_options, scene)


def test_running_calls_learn_of_revoked_keys(store_options: StoreOptions) -> None:
    async def scene(booth: Booth) -> None:
        org = await booth.org("Acme")
        live, revoked = await booth.mint(org), await booth.mint(org)
        await booth.store.write(lambda tx: keys.revoke(booth.op, tx, revoked.key.id))
        asked = [live.key.id, revoked.key.id, *(f"key_{n}" for n in range(1200))]
        dead = await booth.store.read(lambda tx: keys.revoked_among(booth.op, tx, asked))
        assert dead == set(asked) - {live.key.id}

    play(store_options, scene)


def test_texts_that_a_database_cannot_hold_are_simply_unknown(store_options: StoreOptions) -> None:
    async def scene(booth: Booth) -> None:
        org = await booth.org("Acme")
        for text in ("\0", "\ud800", "a\0b"):
            verbs: list[Callable[[Any], object]] = [
                lambda tx, text=text: orgs.org_by(booth.op, tx, text),
                lambda tx, text=text: orgs.project_by(booth.op, tx, org.id, text),
                lambda tx, text=text: keys.key_by(booth.op, tx, text),
            ]
            for verb in verbs:
                code = await code_or_result(booth.store.read(verb))
                assert code is Code.NAME_NOT_FOUND

    play(store_options, scene)


def test_of_many_who_take_a_name_at_once_one_gets_it(store_options: StoreOptions) -> None:
    async def scene(booth: Booth) -> None:
        ends = await asyncio.gather(*(code_or_result(booth.org("Acme")) for _ in range(8)))
        assert sorted(end is Code.ALREADY_EXISTS for end in ends) == [False] + [True] * 7
        found = await booth.store.read(lambda tx: orgs.orgs(booth.op, tx))
        assert [org.name for org in found] == ["Acme"]
        projects = await booth.store.read(lambda tx: orgs.projects(booth.op, tx, None))
        assert len(projects) == 1

    play(store_options, scene)


def test_rotations_at_once_leave_one_newest_secret(store_options: StoreOptions) -> None:
    async def scene(booth: Booth) -> None:
        minted = await booth.mint(await booth.org("Acme"))
        ends = await asyncio.gather(*(booth.rotate(minted.key.id, 0) for _ in range(8)))
        codes = [await booth.code_of(end.secret) for end in ends]
        assert sorted(code is None for code in codes) == [False] * 7 + [True]
        assert await booth.code_of(minted.secret) is Code.EXPIRED_KEY

    play(store_options, scene)


def test_rotation_and_revocation_at_once_leave_a_dead_key(store_options: StoreOptions) -> None:
    async def scene(booth: Booth) -> None:
        minted = await booth.mint(await booth.org("Acme"))
        ends = await asyncio.gather(
            code_or_result(booth.rotate(minted.key.id, 60)),
            booth.store.write(lambda tx: keys.revoke(booth.op, tx, minted.key.id)),
            code_or_result(booth.rotate(minted.key.id, 60)),
        )
        secrets_out = [end.secret for end in ends if isinstance(end, MintedKey)]
        for secret in (minted.secret, *secrets_out):
            assert await booth.code_of(secret) is Code.REVOKED_KEY

    play(store_options, scene)
