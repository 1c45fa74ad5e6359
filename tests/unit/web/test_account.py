"""A caller sees its own account, all of it, and nothing of anybody else's."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.booth import PEPPER, chat
from tests.support.ops import CountingIds
from tests.unit.web.conftest import Account
from tokenbooth.admission.queue.service import Gate
from tokenbooth.control import accounts, keys
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.web.routes import account_routes


class OtherNoise:
    def token_bytes(self, count: int) -> bytes:
        return b"\x5a" * count


Play = Callable[..., None]


async def refusal(account: Account, pattern: str, query: Any = None, **more: str) -> Problem:
    with pytest.raises(Problem) as caught:
        await account.answer(pattern, query, **more)
    return caught.value


async def foreign_key(account: Account) -> str:
    """A key of another organization."""
    booth = account.booth

    ids = CountingIds(10**6)
    mint = keys.Mint(ids, OtherNoise(), PEPPER)

    def make(tx: Any) -> str:
        accounts.create_organization(booth.op, tx, accounts.OrganizationAsk("other"), ids)
        return keys.create_key(booth.op, tx, keys.NewKey(org="other", name="f"), mint).secret

    return await booth.store.write(make)


def test_the_balance_tells_what_is_left_at_every_level(play: Play) -> None:
    async def scene(account: Account) -> None:
        found = await account.get("/v1/balance")
        assert [limit["scope"] for limit in found["limits"]] == [
            "balance",
            "organization",
            "project",
            "key",
        ]
        assert found["spendable"] == {"amount": "0.700000000", "amount_nano": 700_000_000}
        assert found["limits"][0]["remaining"]["amount"] == "1.000000000"
        assert found["limits"][1]["limit"] is None

    play(scene, credit_nano=10**9, key={"cap_nano": 700_000_000})


def test_a_settled_call_is_found_with_its_exact_cost(play: Play) -> None:
    async def scene(account: Account) -> None:
        sink = await account.booth.ask(chat())
        cost = sink.document["usage"]["cost"]
        request_id = (await account.get("/v1/requests"))["data"][0]["id"]
        found = await account.get("/v1/requests/{request_id}", request_id=request_id)
        assert found["status"] == "completed"
        assert found["cost"] == cost
        assert found["usage"]["total_tokens"] == sink.document["usage"]["total_tokens"]
        assert found["created_at"].endswith("Z")
        balance = await account.get("/v1/balance")
        assert balance["limits"][0]["spent"]["amount_nano"] == cost["amount_nano"]

    play(scene)


def test_usage_adds_up_to_the_balance(play: Play) -> None:
    async def scene(account: Account) -> None:
        for _ in range(3):
            await account.booth.ask(chat())
        found = await account.get("/v1/usage", {"since": "2023-11-14", "until": "2023-11-14"})
        (row,) = found["data"]
        assert (row["day"], row["model"], row["calls"]) == ("2023-11-14", "demo", 3)
        assert row["cost"] == found["total_cost"]
        assert found["total_cost"]["amount_nano"] == await account.booth.spent_nano()
        empty = await account.get("/v1/usage", {"since": "2023-11-15", "until": "2023-11-16"})
        assert empty["data"] == []
        assert empty["total_cost"]["amount_nano"] == 0

    play(scene)


def test_pages_hold_every_call_once_newest_first(play: Play) -> None:
    async def scene(account: Account) -> None:
        for _ in range(5):
            await account.booth.ask(chat())
        seen: list[str] = []
        query = {"limit": "2"}
        for _ in range(3):
            page = await account.get("/v1/requests", query)
            seen += [row["id"] for row in page["data"]]
            assert page["has_more"] is (page["next_after"] is not None)
            query = {"limit": "2", "after": page["next_after"] or "none"}
        assert len(seen) == len(set(seen)) == 5
        assert seen == sorted(seen, reverse=True)

    play(scene)


def test_pages_can_be_narrowed_to_a_key_or_a_project(play: Play) -> None:
    async def scene(account: Account) -> None:
        await account.booth.ask(chat())
        own = await account.get("/v1/requests", {"key_id": account.booth.key_id})
        assert len(own["data"]) == 1
        project_id = own["data"][0]["project_id"]
        assert len((await account.get("/v1/requests", {"project_id": project_id}))["data"]) == 1
        assert (await account.get("/v1/requests", {"key_id": "key_none"}))["data"] == []

    play(scene)


def test_another_organizations_call_is_as_unknown_as_none(play: Play) -> None:
    async def scene(account: Account) -> None:
        await account.booth.ask(chat())
        (row,) = (await account.get("/v1/requests"))["data"]
        secret = await foreign_key(account)
        pattern = "/v1/requests/{request_id}"
        foreign = await refusal(account, pattern, secret=secret, request_id=row["id"])
        unknown = await refusal(account, pattern, secret=secret, request_id="req_none")
        assert foreign.code is unknown.code is Code.RECORD_NOT_FOUND
        assert foreign.public.replace(row["id"], "req_none") == unknown.public
        assert (await account.get("/v1/requests", secret=secret))["data"] == []
        query = {"key_id": account.booth.key_id}
        assert (await account.get("/v1/requests", query, secret=secret))["data"] == []
        assert (await account.get("/v1/balance", secret=secret))["spendable"]["amount_nano"] == 0

    play(scene)


@pytest.mark.parametrize(
    ("pattern", "query", "param"),
    [
        ("/v1/balance", {"org_id": "org_1"}, "org_id"),
        ("/v1/usage", {"from": "2023-11-14"}, "from"),
        ("/v1/requests", {"offset": "3"}, "offset"),
        ("/v1/models", {"offset": "3"}, "offset"),
    ],
)
def test_an_unknown_parameter_is_refused_by_name(
    play: Play, pattern: str, query: dict[str, str], param: str
) -> None:
    async def scene(account: Account) -> None:
        problem = await refusal(account, pattern, query)
        assert (problem.code, problem.param) == (Code.UNKNOWN_FIELD, param)

    play(scene)


@pytest.mark.parametrize(
    ("pattern", "query", "param"),
    [
        ("/v1/requests", {"limit": "0"}, "limit"),
        ("/v1/requests", {"limit": "101"}, "limit"),
        ("/v1/requests", {"after": "not an id"}, "after"),
        ("/v1/requests", {"key_id": "\0"}, "key_id"),
        ("/v1/usage", {"since": "soon"}, "since"),
    ],
)
def test_an_impossible_value_is_refused_by_name(
    play: Play, pattern: str, query: dict[str, str], param: str
) -> None:
    async def scene(account: Account) -> None:
        problem = await refusal(account, pattern, query)
        assert (problem.code, problem.param) == (Code.INVALID_VALUE, param)

    play(scene)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(), max_size=8))
def test_no_id_in_a_path_breaks_the_server(play: Play, ids: list[str]) -> None:
    async def scene(account: Account) -> None:
        for request_id in ids:
            problem = await refusal(account, "/v1/requests/{request_id}", request_id=request_id)
            assert problem.code is Code.RECORD_NOT_FOUND
            problem = await refusal(account, "/v1/models/{model}", model=request_id)
            assert problem.code is Code.MODEL_NOT_FOUND

    play(scene)


@pytest.mark.parametrize("pattern", ["/v1/usage", "/v1/requests"])
def test_reports_are_read_one_at_a_time_and_the_rest_goes_on(play: Play, pattern: str) -> None:
    async def scene(account: Account) -> None:
        reading: list[int] = []
        read = account.booth.store.read

        class Watched:
            async def read(self, verb: Any) -> Any:
                reading.append(account.rooms.reports.active)
                return await read(verb)

        place = await account.rooms.reports.enter(0)
        watched = replace(account.rooms, store=Watched())
        account.routes = {r.pattern: r for r in account_routes(watched)}
        waiting = [asyncio.create_task(account.get(pattern)) for _ in range(5)]
        while account.rooms.reports.waiting < 5:
            await asyncio.sleep(0)
        assert (await account.get("/v1/balance"))["object"] == "balance"
        assert reading == [1]
        place.leave()
        assert len(await asyncio.gather(*waiting)) == 5
        assert reading == [1] * 6
        assert account.rooms.reports.active == 0

    play(scene)


def test_too_many_reports_at_once_are_told_to_come_again(play: Play) -> None:
    async def scene(account: Account) -> None:
        full = replace(account.rooms, reports=Gate(1, 0))
        account.routes = {r.pattern: r for r in account_routes(full)}
        place = await full.reports.enter(0)
        problem = await refusal(account, "/v1/usage")
        assert problem.code is Code.ENGINE_BUSY
        assert "reports" in problem.public
        assert problem.retry_after_s is not None
        place.leave()
        assert (await account.get("/v1/usage"))["object"] == "usage"

    play(scene)


def test_the_id_of_a_completion_finds_its_call(play: Play) -> None:
    async def scene(account: Account) -> None:
        answered = await account.booth.ask(chat())
        completion_id = answered.document["id"]
        found = await account.get("/v1/requests/{request_id}", request_id=completion_id)
        assert found["id"] == completion_id.removeprefix("chatcmpl-")

    play(scene)


def test_usage_counts_the_tokens_that_were_charged(play: Play) -> None:
    async def scene(account: Account) -> None:
        await account.booth.ask(chat())
        (paid,) = (await account.get("/v1/usage"))["data"]
        await account.booth.ask(chat(stream=True, max_tokens=3))
        (both,) = (await account.get("/v1/usage"))["data"]
        assert both["calls"] == 2
        tokens = both["prompt_tokens"] * 1000 + both["completion_tokens"] * 4000
        assert tokens == both["cost"]["amount_nano"] > paid["cost"]["amount_nano"]

    play(scene)
