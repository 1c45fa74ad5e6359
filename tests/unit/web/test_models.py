"""``/v1/models`` lists what this key may call, with price and abilities."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.booth import chat
from tests.support.ops import CountingIds
from tests.unit.web.conftest import Account
from tokenbooth.catalog.models.service import ModelAsk
from tokenbooth.control import models
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.scripted.values import ScriptOptions

Play = Callable[..., None]


async def add(account: Account, name: str, **fields: Any) -> None:
    """One more model, not priced."""
    booth = account.booth
    ids = CountingIds(10**6 + sum(map(ord, name)))
    ask = ModelAsk(name=name, deployments=(models.scripted_deployment(),), **fields)
    await booth.store.write(lambda tx: models.add_model(booth.op, tx, ask, ids))


def test_a_model_is_shown_with_its_price_and_once_opened_with_its_abilities(play: Play) -> None:
    async def scene(account: Account) -> None:
        (row,) = (await account.get("/v1/models"))["data"]
        assert (row["id"], row["object"], row["capabilities"]) == ("demo", "model", None)
        assert row["pricing"]["input"] == "1.000000"
        assert row["pricing"]["output"] == "4.000000"
        await account.booth.ask(chat())
        (row,) = (await account.get("/v1/models"))["data"]
        assert "tools" in row["capabilities"]
        assert row["context_length"] == ScriptOptions().context_tokens
        assert await account.get("/v1/models/{model}", model="demo") == row

    play(scene)


def test_a_model_without_a_price_is_not_listed_and_says_why(play: Play) -> None:
    async def scene(account: Account) -> None:
        await add(account, "free")
        assert [row["id"] for row in (await account.get("/v1/models"))["data"]] == ["demo"]
        with pytest.raises(Problem) as caught:
            await account.answer("/v1/models/{model}", model="free")
        assert caught.value.code is Code.PRICE_UNKNOWN

    play(scene)


def test_a_key_sees_its_allowed_models_only(play: Play) -> None:
    async def scene(account: Account) -> None:
        assert [row["id"] for row in (await account.get("/v1/models"))["data"]] == ["demo"]
        await add(account, "other")
        for name in ("other", "nothing"):
            with pytest.raises(Problem) as caught:
                await account.answer("/v1/models/{model}", model=name)
            assert caught.value.code is Code.MODEL_NOT_ALLOWED

    play(scene, key={"models": frozenset({"demo"})})


def test_the_smallest_window_is_told(play: Play) -> None:
    async def scene(account: Account) -> None:
        await account.booth.ask(chat())
        (row,) = (await account.get("/v1/models"))["data"]
        assert row["context_length"] == 512

    play(scene, ScriptOptions(context_tokens=512))


def test_a_name_with_a_slash_stands_in_two_segments(play: Play) -> None:
    async def scene(account: Account) -> None:
        await add(account, "maker/small")
        with pytest.raises(Problem) as caught:
            await account.answer("/v1/models/{owner}/{model}", owner="maker", model="small")
        assert caught.value.code is Code.PRICE_UNKNOWN
        with pytest.raises(Problem) as caught:
            await account.answer("/v1/models/{owner}/{model}", owner="maker", model="large")
        assert caught.value.code is Code.MODEL_NOT_FOUND

    play(scene)
