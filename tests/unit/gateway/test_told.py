"""What the log and the metrics tell of a call, and what they never tell."""

import asyncio
from pathlib import Path

from tests.support.booth import chat, open_test_booth
from tokenbooth.engines.scripted.values import Fault, ScriptOptions

SECRET_WORDS = "zanzibar quicksilver"


def told(events: list[tuple[str, dict[str, object]]]) -> list[str]:
    return [name for name, _ in events]


def test_a_settled_call_is_one_line_with_its_cost_and_without_its_words(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await booth.ask(chat(SECRET_WORDS, user="customer-7"))
            record = await booth.record()
            ((name, fields),) = booth.op.log.events
            assert name == "call_settled"
            assert fields.pop("duration_us") == 0
            assert fields == {
                "request_id": record.request_id,
                "org_id": booth.org_id,
                "key_id": booth.key_id,
                "model": "demo",
                "outcome": "completed",
                "input_tokens": record.usage.input_tokens,
                "output_tokens": 16,
                "cost_nano": record.cost_nano,
            }
            assert "zanzibar" not in repr(booth.op.log)

    asyncio.run(scenario())


def test_a_call_that_never_held_money_is_counted_as_refused_alone(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, credit_nano=0) as booth:
            await booth.ask(chat())
            assert told(booth.op.log.events) == ["call_refused"]
            shown = booth.rooms.metrics.render()
            assert b'tokenbooth_refusals_total{code="insufficient_quota"} 1.0' in shown
            assert b"tokenbooth_calls_total{" not in shown

    asyncio.run(scenario())


def test_a_call_that_held_money_and_failed_is_counted_by_its_outcome_alone(tmp_path: Path):
    async def scenario():
        broken = ScriptOptions(fault=Fault.FAIL, fault_after_chunks=1)
        async with open_test_booth(tmp_path, broken) as booth:
            await booth.ask(chat(stream=True))
            assert told(booth.op.log.events) == ["call_settled", "call_failed"]
            assert booth.op.log.events[1][1]["code"] == "engine_failed"
            shown = booth.rooms.metrics.render()
            assert b"tokenbooth_refusals_total{" not in shown
            assert b'tokenbooth_calls_total{model="demo",outcome="engine_failed"} 1.0' in shown

    asyncio.run(scenario())
