"""The directory over a real store: who calls, what is offered and at which price, for a moment."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.booth import PEPPER, Noise
from tests.support.keyed import AWAY
from tests.support.ops import CountingIds, ManualClock, make_op
from tests.support.stores import fresh_store
from tokenbooth.access.keys import service as access_keys
from tokenbooth.access.keys.rules import RANDOM_BYTES, secret_of
from tokenbooth.catalog.models import service as catalog
from tokenbooth.control import accounts, keys, prices
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.directory import Directory, DirectoryBounds
from tokenbooth.money.prices.service import PriceAsk, PriceQuestion

FRESH_US, STALE_US = 1_000_000, 60_000_000


class Counting:
    """A store that counts reads, and is away when told so."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.reads = 0
        self.away = False

    async def read(self, verb: Callable[[Tx], Any]) -> Any:
        self.reads += 1
        if self.away:
            raise AWAY
        return await self.store.read(verb)

    async def write(self, verb: Callable[[Tx], Any]) -> Any:
        return await self.store.write(verb)


@dataclass
class Town:
    """Two organizations, ``acme`` and ``other``, each with a key; a priced model ``demo``."""

    store: Counting
    clock: ManualClock
    op: Op
    ids: CountingIds
    mint: keys.Mint
    directory: Directory
    secrets: dict[str, str]
    key_ids: dict[str, str]
    org_ids: dict[str, str]

    async def caller(self, name: str = "acme") -> Caller:
        return await self.directory.caller(self.op, self.secrets[name])

    async def refusal(self, question: Coroutine[Any, Any, Any]) -> Code:
        with pytest.raises(Problem) as refused:
            await question
        return refused.value.code

    async def price_pico(self, name: str = "acme") -> int:
        question = PriceQuestion(org_id=self.org_ids[name], model="demo")
        price = await self.directory.price(self.op, question)
        return next(iter(price.lines.values()))


@asynccontextmanager
async def town(path: Path, **bounds: int) -> AsyncIterator[Town]:
    opened, clock, ids = fresh_store(path), ManualClock(), CountingIds()
    op, mint = make_op(clock), keys.Mint(ids, Noise(), PEPPER)

    def set_up(tx: Tx) -> tuple[dict[str, Any], dict[str, str]]:
        minted, owners = {}, {}
        for name in ("acme", "other"):
            org = accounts.create_organization(op, tx, accounts.OrganizationAsk(name), ids)
            minted[name] = keys.create_key(op, tx, keys.NewKey(org=name, name="k"), mint)
            owners[name] = org.id
        deployment = catalog.DeploymentAsk(engine=catalog.EngineKind.SCRIPTED)
        model = catalog.ModelAsk(name="demo", deployments=(deployment,))
        catalog.add_model(op, tx, model, ids)
        prices.price_model(op, tx, PriceAsk("demo", 10, 20), ids, confirmed=True)
        return minted, owners

    minted, owners = await opened.write(set_up)
    store = Counting(opened)
    plain = {"fresh_us": FRESH_US, "stale_max_us": STALE_US}
    directory = Directory(
        store, clock.monotonic_us, pepper=PEPPER, bounds=DirectoryBounds(**(plain | bounds))
    )
    try:
        yield Town(
            store,
            clock,
            op,
            ids,
            mint,
            directory,
            {name: made.secret for name, made in minted.items()},
            {name: made.key.id for name, made in minted.items()},
            owners,
        )
    finally:
        await opened.close()


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(bounded())


def test_a_caller_a_model_and_a_price_are_read_once_for_many_calls(tmp_path: Path):
    async def scenario():
        async with town(tmp_path) as there:
            for _ in range(50):
                caller = await there.caller()
                assert caller.org_id == there.org_ids["acme"]
                assert (await there.directory.model(there.op, "demo")).model.name == "demo"
                assert await there.price_pico() == 10
                there.clock.us += 1000
            assert there.store.reads == 3

    in_loop(scenario)


def test_a_thousand_first_calls_of_a_key_are_one_read(tmp_path: Path):
    async def scenario():
        async with town(tmp_path) as there:
            callers = await asyncio.gather(*(there.caller() for _ in range(1000)))
            assert len(set(callers)) == 1
            assert there.store.reads == 1

    in_loop(scenario)


def test_a_revoked_key_is_refused_a_second_later(tmp_path: Path):
    async def scenario():
        async with town(tmp_path) as there:
            await there.caller()
            await there.store.write(
                lambda tx: access_keys.revoke(there.op, tx, there.key_ids["acme"])
            )
            there.clock.us += FRESH_US
            assert await there.refusal(there.caller()) is Code.REVOKED_KEY
            there.store.away = True
            assert await there.refusal(there.caller()) is Code.LEDGER_UNAVAILABLE
            there.store.away = False
            assert (await there.caller("other")).org_id == there.org_ids["other"]

    in_loop(scenario)


def test_the_end_of_a_key_is_kept_to_the_microsecond_without_a_read(tmp_path: Path):
    async def scenario():
        async with town(tmp_path) as there:
            ends_us = there.clock.us + 500_000
            ask = keys.NewKey(org="acme", name="short", expires_us=ends_us)
            made = await there.store.write(
                lambda tx: keys.create_key(there.op, tx, ask, there.mint)
            )
            there.secrets["short"] = made.secret
            await there.caller("short")
            there.clock.us = ends_us - 1
            await there.caller("short")
            there.clock.us = ends_us
            assert await there.refusal(there.caller("short")) is Code.EXPIRED_KEY
            assert there.store.reads == 1
            there.store.away = True
            there.clock.us += FRESH_US
            assert await there.refusal(there.caller("short")) is Code.EXPIRED_KEY

    in_loop(scenario)


def test_a_rotated_secret_ends_with_its_overlap_even_while_the_database_is_away(tmp_path: Path):
    async def scenario():
        async with town(tmp_path) as there:
            minted = await there.store.write(
                lambda tx: access_keys.rotate(
                    there.op, tx, there.key_ids["acme"], there.mint.randomness, PEPPER, 5
                )
            )
            there.secrets["new"] = minted.secret
            assert (await there.caller("new")).key_id == (await there.caller()).key_id
            there.store.away = True
            there.clock.us += 4_999_999
            await there.caller()
            there.clock.us += 1
            assert await there.refusal(there.caller()) is Code.EXPIRED_KEY
            await there.caller("new")

    in_loop(scenario)


def test_calls_go_on_through_an_outage_and_stop_at_its_bound(tmp_path: Path):
    async def scenario():
        async with town(tmp_path) as there:
            known = await there.caller()
            model = await there.directory.model(there.op, "demo")
            await there.price_pico()
            there.store.away = True
            there.clock.us += STALE_US
            assert await there.caller() == known
            assert await there.directory.model(there.op, "demo") == model
            assert await there.price_pico() == 10
            there.clock.us += 1
            assert await there.refusal(there.caller()) is Code.LEDGER_UNAVAILABLE
            model_again = there.directory.model(there.op, "demo")
            assert await there.refusal(model_again) is Code.LEDGER_UNAVAILABLE
            assert await there.refusal(there.price_pico()) is Code.LEDGER_UNAVAILABLE

    in_loop(scenario)


def test_nobody_new_is_let_in_while_the_database_is_away(tmp_path: Path):
    async def scenario():
        async with town(tmp_path) as there:
            await there.caller()
            there.store.away = True
            assert await there.refusal(there.caller("other")) is Code.LEDGER_UNAVAILABLE

    in_loop(scenario)


def test_unknown_keys_and_models_are_looked_up_each_time_and_never_kept(tmp_path: Path):
    async def scenario():
        async with town(tmp_path) as there:
            for _ in range(3):
                unknown = there.directory.caller(there.op, stranger(1))
                assert await there.refusal(unknown) is Code.INVALID_KEY
                nothing = there.directory.model(there.op, "none")
                assert await there.refusal(nothing) is Code.MODEL_NOT_FOUND
            assert there.store.reads == 6

    in_loop(scenario)


def test_a_new_model_and_a_new_price_are_seen_a_second_later(tmp_path: Path):
    async def scenario():
        async with town(tmp_path) as there:
            assert await there.price_pico() == 10
            await there.store.write(
                lambda tx: prices.price_model(
                    there.op, tx, PriceAsk("demo", 30, 60), there.ids, confirmed=True
                )
            )
            there.clock.us += FRESH_US - 1
            assert await there.price_pico() == 10
            there.clock.us += 1
            assert await there.price_pico() == 30
            await there.store.write(lambda tx: catalog.remove_model(there.op, tx, "demo"))
            removed = there.directory.model(there.op, "demo")
            assert await there.refusal(removed) is Code.MODEL_NOT_FOUND

    in_loop(scenario)


def test_a_key_of_the_wrong_pepper_is_nobody(tmp_path: Path):
    async def scenario():
        async with town(tmp_path) as there:
            bounds = DirectoryBounds(fresh_us=FRESH_US, stale_max_us=STALE_US)
            other = Directory(
                there.store, there.clock.monotonic_us, pepper=b"q" * 32, bounds=bounds
            )
            asked = other.caller(there.op, there.secrets["acme"])
            assert await there.refusal(asked) is Code.INVALID_KEY

    in_loop(scenario)


STEPS = st.lists(
    st.one_of(
        st.lists(st.integers(0, 5), min_size=1, max_size=8),
        st.sampled_from(["second", "minute", "away", "back"]),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_no_secret_ever_answers_for_another_tenant(steps):
    """Many callers at once, through evictions and outages: each gets itself or a refusal."""

    async def scenario(path: Path):
        async with town(path, entries_max=2) as there:
            secrets = list(there.secrets.values())
            owners = list(there.org_ids.values())
            for name in ("acme", "other"):
                ask = keys.NewKey(org=name, name="second")
                made = await there.store.write(
                    lambda tx, a=ask: keys.create_key(there.op, tx, a, there.mint)
                )
                secrets.append(made.secret)
                owners.append(there.org_ids[name])
            secrets += [stranger(1), stranger(2)]
            known: dict[int, str] = {}
            for step in steps:
                if step == "second":
                    there.clock.us += FRESH_US
                elif step == "minute":
                    there.clock.us += STALE_US + 1
                elif step in ("away", "back"):
                    there.store.away = step == "away"
                else:
                    calls = (there.directory.caller(there.op, secrets[n]) for n in step)
                    told = await asyncio.gather(*calls, return_exceptions=True)
                    for n, answer in zip(step, told, strict=True):
                        if isinstance(answer, Problem):
                            assert there.store.away or n >= len(owners)
                        else:
                            assert isinstance(answer, Caller)
                            assert answer.org_id == owners[n]
                            assert known.setdefault(n, answer.key_id) == answer.key_id
            assert len(set(known.values())) == len(known)

    with tempfile.TemporaryDirectory() as directory:
        in_loop(lambda: scenario(Path(directory)))


def stranger(number: int) -> str:
    """A well-formed secret that nobody was given."""
    return secret_of(number.to_bytes(RANDOM_BYTES))
