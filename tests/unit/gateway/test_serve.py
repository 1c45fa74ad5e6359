"""The ten steps, from headers to settlement, over a real store and the scripted engine."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import INPUT_PICO, OUTPUT_PICO, MemorySink, chat, open_test_booth
from tokenbooth.core.caller import CallLimits, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.gateway.serve import serve
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.safety.screening.service import Policy

HANG = ScriptOptions(fault=Fault.HANG, fault_after_chunks=3)


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


def cost_nano(input_tokens: int, output_tokens: int) -> int:
    return (input_tokens * INPUT_PICO + output_tokens * OUTPUT_PICO) // 1000


def error(sink: MemorySink) -> tuple[int | None, str]:
    return sink.status, sink.document["error"]["code"]


def test_a_whole_answer_is_paid_to_the_nano(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            sink = await booth.ask(chat())
            usage = sink.document["usage"]
            expected = cost_nano(usage["prompt_tokens"], usage["completion_tokens"])
            assert (sink.status, usage["completion_tokens"]) == (200, 16)
            assert usage["cost"]["amount_nano"] == expected
            assert sink.headers["x-tokenbooth-cost"] == f"0.{expected:09d}"
            assert await booth.spent_nano() == expected
            record = await booth.record()
            assert (record.outcome, record.cost_nano) == (Outcome.COMPLETED, expected)
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_a_stream_tells_the_hold_first_and_the_cost_last(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            body = chat(stream=True, stream_options={"include_usage": True})
            sink = await booth.ask(body)
            assert sink.headers["content-type"].startswith("text/event-stream")
            assert "x-tokenbooth-held" in sink.headers
            assert "x-tokenbooth-cost" not in sink.headers
            assert sink.events[-1] == "[DONE]"
            record = await booth.record()
            assert sink.events[-2]["usage"]["cost"]["amount_nano"] == record.cost_nano
            assert await booth.spent_nano() == record.cost_nano
            assert record.first_output_us is not None

    in_loop(scenario)


def test_a_stream_that_did_not_ask_for_usage_is_paid_all_the_same(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            sink = await booth.ask(chat(stream=True))
            assert all("usage" not in e or e["usage"] is None for e in sink.events[:-1])
            assert (await booth.record()).cost_nano == await booth.spent_nano() > 0

    in_loop(scenario)


def test_the_terminal_event_waits_for_the_settlement(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            settled = []
            settle = booth.rooms.till.settle

            async def watched(op, ending):
                assert b"[DONE]" not in sink.body
                settled.append(sink.body.count(b"data: "))
                return await settle(op, ending)

            booth.rooms.till.settle = watched  # type: ignore[method-assign]
            sink = MemorySink()
            await booth.ask(chat(stream=True), sink=sink)
            assert settled[0] >= 16
            assert sink.events[-1] == "[DONE]"

    in_loop(scenario)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"authorization": "Bearer sk-wrong"}, "invalid_api_key"),
        ({"x-api-key": "tb_live_" + "0" * 46}, "invalid_api_key"),
    ],
)
def test_step_1_refuses_who_is_not_known(tmp_path: Path, headers, code):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            assert error(await booth.ask(b"not even json", headers=headers)) == (401, code)

    in_loop(scenario)


def test_step_1_refuses_a_key_without_the_scope(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, key={"scopes": frozenset({Scope.READ})}) as booth:
            assert error(await booth.ask(chat())) == (403, "insufficient_scope")

    in_loop(scenario)


def test_step_2_comes_before_the_body_is_parsed(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, body_bytes_max=4096) as booth:
            seen = {}

            class Body:
                async def read(self, bytes_max: int) -> bytes:
                    seen["max"] = bytes_max
                    raise Problem(Code.BODY_TOO_LARGE, "too large")

            sink = MemorySink()
            head = CallHead("POST", "/", {"x-api-key": booth.secret}, {}, {})
            await serve(booth.rooms, OPENAI_CHAT, booth.new_op(), head, Body(), sink)
            assert error(sink) == (413, "payload_too_large")
            assert seen == {"max": 4096}

    in_loop(scenario)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "malformed_json", None),
        (b"[]", "malformed_json", None),
        (b'{"model":"demo","messages":[]}', "invalid_value", "messages"),
        (b'{"messages":[{"role":"user","content":"x"}]}', "missing_required_parameter", "model"),
    ],
)
def test_step_3_names_what_is_wrong_with_the_body(tmp_path: Path, body, code, param):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            sink = await booth.ask(body)
            assert error(sink) == (400, code)
            assert sink.document["error"]["param"] == param
            assert await booth.spent_nano() == 0

    in_loop(scenario)


def test_step_4_refuses_unknown_and_forbidden_models(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, key={"models": frozenset({"demo"})}) as booth:
            other = chat() | {"model": "other"}
            assert error(await booth.ask(other)) == (403, "model_not_allowed")
        async with open_test_booth(tmp_path / "b") as booth:
            assert error(await booth.ask(chat() | {"model": "other"})) == (404, "model_not_found")

    (tmp_path / "b").mkdir()
    in_loop(scenario)


def test_step_4_names_the_parameter_that_the_engine_cannot_do(tmp_path: Path):
    plain = ScriptOptions(features=frozenset())

    async def scenario():
        async with open_test_booth(tmp_path, plain) as booth:
            sink = await booth.ask(chat(seed=7))
            assert error(sink) == (400, "unsupported_feature")
            assert sink.document["error"]["param"] == "seed"

    in_loop(scenario)


def test_step_4_refuses_a_prompt_that_does_not_fit_with_both_numbers(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(context_tokens=20)) as booth:
            sink = await booth.ask(chat("word " * 100))
            assert error(sink) == (400, "context_length_exceeded")
            facts = sink.document["error"]
            assert facts["context_tokens"] == 20
            assert facts["input_tokens"] >= 100

    in_loop(scenario)


def test_step_5_refuses_over_the_rate_and_does_not_count_what_it_refuses(tmp_path: Path):
    limits = CallLimits(requests_per_minute=2)

    async def scenario():
        async with open_test_booth(tmp_path, key={"limits": limits}) as booth:
            for _ in range(2):
                assert (await booth.ask(chat())).status == 200
            for _ in range(3):
                refused = await booth.ask(chat())
                assert error(refused) == (429, "rate_limit_exceeded")
                assert int(refused.headers["retry-after"]) >= 1
                assert refused.headers["x-ratelimit-remaining-requests"] == "0"
            booth.clock.us += 61_000_000
            assert (await booth.ask(chat())).status == 200

    in_loop(scenario)


def test_a_call_refused_after_admission_is_not_counted(tmp_path: Path):
    limits = CallLimits(requests_per_minute=1)
    policy = Policy(("forbidden words",))

    async def scenario():
        async with open_test_booth(tmp_path, key={"limits": limits}, policy=policy) as booth:
            assert error(await booth.ask(chat("forbidden words"))) == (
                400,
                "content_policy_violation",
            )
            assert (await booth.ask(chat())).status == 200

    in_loop(scenario)


def test_tokens_that_were_not_used_are_given_back(tmp_path: Path):
    limits = CallLimits(tokens_per_minute=10_000)

    async def scenario():
        async with open_test_booth(tmp_path, key={"limits": limits}) as booth:
            sink = await booth.ask(chat(max_tokens=5000))
            used = sink.document["usage"]["total_tokens"]
            later = await booth.ask(chat(max_tokens=10))
            assert int(later.headers["x-ratelimit-remaining-tokens"]) <= 10_000 - used
            assert int(later.headers["x-ratelimit-remaining-tokens"]) > 9000

    in_loop(scenario)


def test_a_key_with_a_small_token_limit_works_without_stating_a_limit(tmp_path: Path):
    limits = CallLimits(tokens_per_minute=40)

    async def scenario():
        async with open_test_booth(tmp_path, key={"limits": limits}) as booth:
            assert (await booth.ask(chat())).status == 200
            too_much = await booth.ask(chat(max_tokens=500))
            assert too_much.status == 400
            assert "retry-after" not in too_much.headers

    in_loop(scenario)


def test_step_5_refuses_at_once_what_the_balance_cannot_start(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, credit_nano=0) as booth:
            sink = await booth.ask(chat())
            assert error(sink) == (429, "insufficient_quota")
            assert sink.headers["x-should-retry"] == "false"
            measured = booth.rooms.metrics.render()
            assert b'tokenbooth_refusals_total{code="insufficient_quota"} 1.0' in measured
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_step_5_refuses_with_retry_advice_when_the_queue_is_full(tmp_path: Path):
    narrow = {"concurrency_max": 1, "queue_max": 0}

    async def scenario():
        async with open_test_booth(tmp_path, HANG, deployment=narrow) as booth:
            first = MemorySink()
            running = asyncio.create_task(booth.ask(chat(stream=True), sink=first))
            while first.listener is None or not first.started:
                await asyncio.sleep(0)
            busy = await booth.ask(chat())
            assert error(busy) == (503, "engine_overloaded")
            assert int(busy.headers["retry-after"]) >= 1
            first.listener.gone()
            await running
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_step_7_lowers_the_output_to_what_the_money_buys_and_says_so(tmp_path: Path):
    async def scenario():
        probe_nano = cost_nano(200, 5)
        async with open_test_booth(tmp_path, credit_nano=probe_nano) as booth:
            sink = await booth.ask(chat(max_tokens=100))
            record = await booth.record()
            assert sink.status == 200
            lowered = sink.headers["x-tokenbooth-output-lowered"]
            assert lowered.endswith("by=balance")
            assert record.held_nano <= probe_nano
            assert await booth.spent_nano() <= probe_nano
            await booth.verified()

    in_loop(scenario)


def test_notes_say_what_was_not_honoured(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            sink = await booth.ask(chat(made_up_field=1))
            assert sink.status == 200
            assert "made_up_field=" in sink.headers["x-tokenbooth-notes"]

    in_loop(scenario)


def test_the_end_customer_travels_into_the_record(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await booth.ask(chat(safety_identifier="customer-7"))
            assert (await booth.record()).end_customer == "customer-7"

    in_loop(scenario)
