"""Receipts and statements over the routes: for their owner only, keys for everybody."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.settled import Desk, opened_desk
from tests.support.stores import fresh_options
from tokenbooth.admission.queue.service import Gate
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.money.receipts.checking import verify
from tokenbooth.money.receipts.service import PAGE_CALLS_MAX, StatementCheck
from tokenbooth.web import receipts
from tokenbooth.web.rooms import WebRooms
from tokenbooth.web.routes import account_routes
from tokenbooth.web.streaming import StreamAnswer

RECEIPT = "/v1/requests/{request_id}/receipt"
CALLER = Caller("org_a", "project_a", "key_a", frozenset(Scope))
DAY = {"since": "2023-11-14", "until": "2023-11-14"}


class Front:
    """The routes over one desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.rooms = WebRooms(
            store=desk.store,
            engines=None,
            metrics=None,
            settlements=None,
            metrics_loopback_only=True,
            signer=desk.signer,
            sealing_key=b"s" * 32,
        )
        self.routes = {route.pattern: route for route in account_routes(self.rooms)}

    def get(
        self, pattern: str, query: Mapping[str, str] | None = None, org: str = "org_a", **path: str
    ) -> Any:
        op = replace(self.desk.op, caller=replace(CALLER, org_id=org))
        head = CallHead("GET", pattern, {}, query or {}, path)
        return self.desk.runner.run(self.routes[pattern].answer(op, head))

    def refusal(self, pattern: str, query: Mapping[str, str] | None = None, **more: str) -> Problem:
        with pytest.raises(Problem) as caught:
            self.get(pattern, query, **more)
        return caught.value

    def statement(self, query: Mapping[str, str] | None = None, org: str = "org_a") -> bytes:
        async def poured(answer: StreamAnswer) -> bytes:
            return answer.first + b"".join([piece async for piece in answer.rest])

        return self.desk.runner.run(poured(self.get("/v1/statement", DAY | (query or {}), org)))


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    with opened_desk(fresh_options(tmp_path)) as desk:
        desk.price()
        yield Front(desk)


def test_a_receipt_is_for_its_organization_alone(front: Front) -> None:
    front.desk.settle({"request_id": "req_1"})
    answer = front.get(RECEIPT, request_id="req_1")
    document = json.loads(answer.body)
    assert answer.status == 200
    assert ("cache-control", "no-store") in answer.headers
    assert all(step.ok for step in verify(document, {front.desk.signer.key.public}))
    assert front.get(RECEIPT, request_id="chatcmpl-req_1").body == answer.body
    foreign = front.refusal(RECEIPT, org="org_b", request_id="req_1")
    unknown = front.refusal(RECEIPT, org="org_b", request_id="req_2")
    assert foreign.code is unknown.code is Code.RECORD_NOT_FOUND
    assert foreign.public.replace("req_1", "req_2") == unknown.public


def test_a_running_call_has_no_receipt_yet(front: Front) -> None:
    ended = ("outcome", "reason", "input_tokens", "output_tokens", "reasoning_tokens")
    nothing = dict.fromkeys((*ended, "usage_source", "ended_us"))
    row = {"request_id": "req_1", **nothing, "state": "open", "charged": False}
    front.desk.settle(row)
    refused = front.refusal(RECEIPT, request_id="req_1")
    assert (refused.code, refused.retry_after_s) == (Code.RECEIPT_NOT_READY, 1)


def test_keys_are_public_and_verify_what_was_signed(front: Front) -> None:
    route = front.routes["/v1/receipts/keys"]
    assert route.scope is None
    front.desk.settle({"request_id": "req_1"})
    document = json.loads(front.get(RECEIPT, request_id="req_1").body)
    (listed,) = json.loads(front.get("/v1/receipts/keys").body)["data"]
    assert listed["id"] == document["proof"]["key_id"]
    assert all(s.ok for s in verify(document, {bytes.fromhex(listed["public_key"])}))


def test_receipts_and_statements_need_the_scope_to_read(front: Front) -> None:
    assert front.routes[RECEIPT].scope is Scope.READ
    assert front.routes["/v1/statement"].scope is Scope.READ


def test_a_statement_is_of_the_callers_own_organization(front: Front) -> None:
    front.desk.settle({"request_id": "req_1"}, {"request_id": "req_2"})
    front.desk.settle({"request_id": "req_3"}, org="org_b")
    lines = [json.loads(line) for line in front.statement().splitlines()]
    assert [line.get("request_id") for line in lines] == ["req_1", "req_2", None]
    check = StatementCheck({front.desk.signer.key.public})
    steps = [step for line in lines[:-1] for step in check.receipt(line)]
    assert all(step.ok for step in (*steps, *check.end(lines[-1])))
    own = [json.loads(line) for line in front.statement(org="org_b").splitlines()]
    assert [line.get("request_id") for line in own] == ["req_3", None]


def test_a_statement_says_what_it_is_and_comes_as_a_table_too(front: Front) -> None:
    front.desk.settle({"request_id": "req_1"})
    as_json, as_csv = (
        dict(front.get("/v1/statement", {**DAY, "format": name}).headers)
        for name in ("json", "csv")
    )
    assert as_json["content-type"] == "application/x-ndjson"
    assert as_csv["content-type"] == "text/csv; charset=utf-8"
    assert as_csv["content-disposition"] == 'attachment; filename="statement.csv"'
    table = front.statement({"format": "csv"})
    assert [line.split(b",")[0] for line in table.splitlines()] == [
        b"request_id",
        b"req_1",
        b"total",
    ]


@pytest.mark.parametrize(
    ("pattern", "query", "param"),
    [
        ("/v1/statement", {"format": "xml"}, "format"),
        ("/v1/statement", {"org": "org_b"}, "org"),
        ("/v1/statement", {"since": "today"}, "since"),
        ("/v1/statement", {"since": "2023-11-15", "until": "2023-11-14"}, "since"),
        (RECEIPT, {"x": "1"}, "x"),
        ("/v1/receipts/keys", {"x": "1"}, "x"),
    ],
)
def test_what_is_asked_wrongly_is_refused_by_name(
    front: Front, pattern: str, query: dict[str, str], param: str
) -> None:
    assert front.refusal(pattern, query, request_id="req_1").param == param


def test_a_statement_waits_its_turn_page_by_page(front: Front) -> None:
    """Nothing is held between pages, so that a slow reader keeps nobody waiting."""
    front.desk.settle(*({"request_id": f"req_{n:04}"} for n in range(PAGE_CALLS_MAX + 1)))
    turns = []

    class Watched(Gate):
        async def enter(self, wait_max_s: float):
            turns.append(wait_max_s)
            return await super().enter(wait_max_s)

    front.rooms = replace(front.rooms, reports=Watched(1, 1))
    front.routes = {route.pattern: route for route in account_routes(front.rooms)}
    answer = front.get("/v1/statement", DAY)
    seen = len(turns)

    async def rest() -> list[bytes]:
        return [piece async for piece in answer.rest]

    assert len(front.desk.runner.run(rest())) == 3
    assert len(turns) > seen > 0
    assert receipts.DAYS_DEFAULT == 30
