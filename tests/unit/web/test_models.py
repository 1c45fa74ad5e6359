"""``/v1/models`` lists what this key may call, with price and abilities."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from tests.support.booth import chat
from tests.support.measured import Measurement
from tests.support.ops import CountingIds
from tests.unit.web.conftest import Account
from tokenbooth.catalog.cards.service import CardAsk, Stage
from tokenbooth.catalog.models.service import ModelAsk
from tokenbooth.control import models, prices
from tokenbooth.control.certificates import DAY_US, apply, signed
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.engines.scripted.values import ScriptOptions
from tokenbooth.money.prices.service import PriceAsk
from tokenbooth.signing.keys import SigningKey

Play = Callable[..., None]
CERTIFIER = SigningKey(bytes(32))


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
        assert "tools" in row["features"]
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


async def offered(account: Account, *names: str) -> None:
    """Priced models beside ``demo``."""
    booth = account.booth

    def price(tx: Tx) -> None:
        for name in names:
            ids = CountingIds(2 * 10**6 + sum(map(ord, name)))
            ask = PriceAsk(name, 1_250_000, 4_000_000)
            prices.price_model(booth.op, tx, ask, ids, confirmed=False)

    for name in names:
        await add(account, name)
    await booth.store.write(price)


def names_of(page: Any) -> list[str]:
    return [row["id"] for row in page["data"]]


def test_a_walk_over_pages_meets_every_model_once(play: Play) -> None:
    async def scene(account: Account) -> None:
        await offered(account, "a", "b", "c", "e")
        whole = await account.get("/v1/models")
        assert names_of(whole) == ["a", "b", "c", "demo", "e"]
        assert (whole["has_more"], whole["first_id"], whole["last_id"]) == (False, "a", "e")
        for limit in ("1", "2", "3", "5", "1000"):
            met, query = [], {"limit": limit}
            while True:
                page = await account.get("/v1/models", query)
                assert len(page["data"]) <= int(limit)
                met += names_of(page)
                if not page["has_more"]:
                    break
                query = {"limit": limit, "after_id": page["last_id"]}
            assert met == names_of(whole)

    play(scene)


def test_a_walk_backwards_and_a_span_between(play: Play) -> None:
    async def scene(account: Account) -> None:
        await offered(account, "a", "b", "c")
        page = await account.get("/v1/models", {"limit": "2", "before_id": "demo"})
        assert (names_of(page), page["has_more"]) == (["b", "c"], True)
        page = await account.get("/v1/models", {"limit": "2", "before_id": "b"})
        assert (names_of(page), page["has_more"]) == (["a"], False)
        between = {"after_id": "a", "before_id": "demo"}
        assert names_of(await account.get("/v1/models", between)) == ["b", "c"]
        nothing = await account.get("/v1/models", {"after_id": "demo"})
        assert (nothing["data"], nothing["first_id"], nothing["last_id"]) == ([], None, None)
        crossed = await account.get("/v1/models", {"after_id": "c", "before_id": "b"})
        assert (crossed["data"], crossed["has_more"]) == ([], False)

    play(scene)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"after_id": "nothing"}, "after_id"),
        ({"before_id": "nothing"}, "before_id"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"format": "xml"}, "format"),
        ({"format": "openrouter", "limit": "1"}, "limit"),
        ({"offset": "1"}, "offset"),
    ],
)
def test_a_wrong_parameter_is_named(play: Play, query: dict[str, str], param: str) -> None:
    async def scene(account: Account) -> None:
        with pytest.raises(Problem) as caught:
            await account.answer("/v1/models", query)
        assert caught.value.param == param

    play(scene)


def test_a_cursor_of_a_model_that_the_key_may_not_use_is_no_cursor(play: Play) -> None:
    async def scene(account: Account) -> None:
        await offered(account, "other")
        with pytest.raises(Problem) as caught:
            await account.answer("/v1/models", {"after_id": "other"})
        assert caught.value.param == "after_id"

    play(scene, key={"models": frozenset({"demo"})})


def test_a_card_says_name_stage_and_end(play: Play) -> None:
    async def scene(account: Account) -> None:
        booth = account.booth
        ends_us = 4_102_444_800_000_000
        ask = CardAsk(display_name="The Demo", stage=Stage.DEPRECATED, shutdown_us=ends_us)
        await booth.store.write(lambda tx: models.describe_model(booth.op, tx, "demo", ask))
        row = await account.get("/v1/models/{model}", model="demo")
        assert (row["display_name"], row["stage"]) == ("The Demo", "deprecated")
        assert (row["lifecycle"], row["shutdown_date"]) == ("deprecated", "2100-01-01")
        assert row["retires_at"] == "2100-01-01T00:00:00Z"
        assert row["deprecated_at"] is not None
        (listed,) = (await account.get("/v1/models", {"format": "openrouter"}))["data"]
        assert listed["deprecation_date"] == "2100-01-01"
        dev = (await account.get("/v1/models", {"format": "models.dev"}))["tokenbooth"]
        assert dev["models"]["demo"]["status"] == "deprecated"
        said = CardAsk(stage=Stage.PUBLIC_PREVIEW)
        await booth.store.write(lambda tx: models.describe_model(booth.op, tx, "demo", said))
        row = await account.get("/v1/models/{model}", model="demo")
        assert (row["display_name"], row["lifecycle"]) == ("demo", "active")
        assert (row["stage"], row["shutdown_date"]) == ("public_preview", None)
        dev = (await account.get("/v1/models", {"format": "models.dev"}))["tokenbooth"]
        assert dev["models"]["demo"]["status"] == "beta"

    play(scene)


def test_both_public_lists_have_exact_prices_and_the_same_models(play: Play) -> None:
    async def scene(account: Account) -> None:
        await offered(account, "a")
        await account.booth.ask(chat())
        flat = (await account.get("/v1/models", {"format": "openrouter"}))["data"]
        assert [row["id"] for row in flat] == ["a", "demo"]
        assert flat[0]["pricing"]["prompt"] == "0.00000125"
        assert flat[0]["pricing"]["request"] == "0"
        assert "tools" in flat[1]["supported_features"]
        assert (flat[0]["is_ready"], flat[1]["is_ready"]) == (False, True)
        answer = await account.answer("/v1/models", {"format": "models.dev"})
        assert b'"input":1.250000' in answer.body
        dev = msgspec.json.decode(answer.body)["tokenbooth"]
        assert "api" not in dev
        assert list(dev["models"]) == ["a", "demo"]
        assert dev["models"]["demo"]["tool_call"] is True
        assert dev["models"]["demo"]["limit"]["context"] > 0

    play(scene)


def put_in_force(op: Op, document: object, tx: Tx) -> None:
    apply(op, tx, document, (CERTIFIER.public,), None)


def test_a_certificate_in_force_is_published_until_something_else_is_served(play: Play) -> None:
    async def scene(account: Account) -> None:
        booth = account.booth
        assert (await account.get("/v1/models"))["data"][0]["capacity"] is None
        for fingerprint, state in (("scripted", "valid"), ("another", "stale")):
            subject = {"model": "demo", "fingerprint": fingerprint}
            times = (booth.op.now(), DAY_US)
            document = signed(Measurement().evidence, subject, times, CERTIFIER)
            await booth.store.write(partial(put_in_force, booth.op, document))
            await booth.ask(chat())
            row = await account.get("/v1/models/{model}", model="demo")
            assert row["capacity"]["state"] == state
            assert row["capacity"]["concurrency"] > 1
            assert row["capacity"]["fingerprint"] == fingerprint
            assert row == (await account.get("/v1/models"))["data"][0]

    play(scene)


def test_limits_and_terms_are_those_of_the_key(play: Play) -> None:
    async def scene(account: Account) -> None:
        row = await account.get("/v1/models/{model}", model="demo")
        assert row["limits"]["requests_per_minute"] == 7
        assert row["data_policy"] == {"terms": "private", "training": False}

    play(scene, key={"limits": CallLimits(requests_per_minute=7)})


@pytest.mark.parametrize(
    ("headers", "api"),
    [
        ({"host": "booth.example"}, "http://booth.example/v1"),
        ({"host": "booth.example", "x-forwarded-proto": "https"}, "https://booth.example/v1"),
        ({"host": "[::1]:80"}, "http://[::1]:80/v1"),
        ({"host": "a b"}, None),
        ({}, None),
    ],
)
def test_the_address_is_the_one_that_was_called(
    play: Play, headers: dict[str, str], api: str | None
) -> None:
    async def scene(account: Account) -> None:
        head = CallHead("GET", "/v1/models", headers, {"format": "models.dev"}, {})
        answer = await account.routes["/v1/models"].answer(await account.op(), head)
        assert msgspec.json.decode(answer.body)["tokenbooth"].get("api") == api

    play(scene)
