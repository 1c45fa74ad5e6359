"""Files and cards over the real stores: the same answers on both, crowds included."""

import asyncio
from typing import Any

import pytest

from tests.support.ops import CountingIds, ManualClock, make_op
from tokenbooth.access.orgs import service as orgs
from tokenbooth.catalog.cards import service as cards
from tokenbooth.catalog.cards.service import CardAsk, Stage
from tokenbooth.content.files import rules
from tokenbooth.content.files import service as files
from tokenbooth.content.files.service import FileAsk, FilesPage, Purpose
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.store.open import AsyncStore, open_store
from tokenbooth.store.options import StoreOptions

CLOCK = ManualClock()
OP = make_op(CLOCK)
SEALED = bytes(range(256)) * 8


def play(options: StoreOptions, scene: Any) -> None:
    async def whole() -> None:
        store = open_store(options)
        try:
            await scene(store)
        finally:
            await store.close()

    asyncio.run(whole())


def owner(tx: Tx) -> Caller:
    ids = CountingIds()
    org = orgs.create_org(OP, tx, "acme", ids)
    (project,) = orgs.projects(OP, tx, org.id)
    return Caller(org.id, project.id, "key_1", frozenset())


async def put(store: AsyncStore, caller: Caller, file_id: str) -> Code | None:
    ask = FileAsk(file_name="ñ", purpose=Purpose.BATCH, content=b"12345", kept_s=3600)
    made = files.new_file(OP, caller, ask, file_id)
    try:
        await store.write(lambda tx: files.add(OP, tx, made, SEALED))
    except Problem as problem:
        return problem.code
    return None


def test_a_crowd_of_uploads_fills_the_room_exactly(
    store_options: StoreOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PROJECT_BYTES_MAX", 15)

    async def scene(store: AsyncStore) -> None:
        caller = await store.write(owner)
        ends = await asyncio.gather(*(put(store, caller, f"file_{n}") for n in range(8)))
        assert sorted(map(str, ends)) == ["Code.FILES_FULL"] * 5 + ["None"] * 3
        page = FilesPage(limit=2)
        found = await store.read(lambda tx: files.files(OP, tx, caller, page))
        assert [each.file_name for each in found] == ["ñ"] * 3
        first = found[0].id
        assert await store.read(lambda tx: files.content(OP, tx, caller, first)) == SEALED
        await store.write(lambda tx: files.remove(OP, tx, caller, first))
        CLOCK.us += 3600 * 10**6
        assert await store.write(lambda tx: files.drop_expired(OP, tx)) == 2

    play(store_options, scene)


def test_of_many_who_describe_a_model_at_once_each_is_heard_or_told(
    store_options: StoreOptions,
) -> None:
    async def say(store: AsyncStore, stage: Stage) -> Code | None:
        try:
            await store.write(lambda tx: cards.describe(OP, tx, "m", CardAsk(stage=stage)))
        except Problem as problem:
            return problem.code
        return None

    async def scene(store: AsyncStore) -> None:
        heard = await asyncio.gather(*(say(store, stage) for stage in Stage))
        card = await store.read(lambda tx: cards.card_of(OP, tx, "m"))
        assert card is not None
        assert set(heard) <= {None, Code.STATE_CONFLICT}
        assert card.sequence == heard.count(None) >= 1

    play(store_options, scene)
