"""Faults that other gateways are known for, one test each, against a whole running booth."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.outside.engines.lineup import mock_port
from tests.support.attack import (
    account,
    assert_sound,
    body,
    chat,
    connect,
    get,
    many,
    raw_post,
    record_of,
    records,
    reset,
    spent_nano,
    until,
)
from tests.support.instances import (
    INPUT_PICO,
    OUTPUT_PICO,
    Script,
    add_scripts,
    add_upstream,
    in_booth,
)
from tokenbooth.engines.scripted import ScriptOptions
from tokenbooth.money.ledger import service as ledger
from tokenbooth.proving.instance import PrivateInstance

SCRIPTS = (
    Script("demo", {"chunks": "8"}, 512, 512),
    Script("silent", {"chunks": "8", "usage": "missing"}),
    Script("slow", {"chunks": "2000", "chunk_delay_ms": "20"}, 64, 64),
)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[PrivateInstance]:
    with PrivateInstance(tmp_path / "home") as made:
        add_scripts(made, *SCRIPTS)
        yield made


def cost_of(usage: dict[str, int]) -> int:
    pico = usage["prompt_tokens"] * INPUT_PICO + usage["completion_tokens"] * OUTPUT_PICO
    return pico // 1000


def held_nano(instance: PrivateInstance) -> int:
    found = in_booth(instance, lambda booth, op, tx: ledger.verify(op, tx))
    assert found.problems == ()
    return found.open_holds


def log_lines(instance: PrivateInstance) -> list[dict[str, object]]:
    lines = instance.log_path.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.mark.parametrize("include_usage", [False, True])
def test_a_streamed_call_is_not_priced_zero(instance, include_usage):
    """Known elsewhere: what is streamed costs nothing, or only where usage was asked for."""
    secret = account(instance, "acme")
    address = instance.start()
    options = {"stream": True}
    if include_usage:
        options["stream_options"] = {"include_usage": True}
    streamed = chat(address, secret, body("demo", **options))
    whole = chat(address, secret, body("demo"))
    assert streamed.status == whole.status == 200
    costs = []
    for answer in (streamed, whole):
        record = record_of(address, secret, answer.headers["x-request-id"])
        assert record["usage"]["source"] == "engine"
        assert record["cost"]["amount_nano"] == cost_of(record["usage"]) > 0
        costs.append(record["cost"]["amount_nano"])
    assert costs[0] == costs[1]
    assert spent_nano(address, secret) == sum(costs)
    assert instance.stop() == 0
    assert_sound(instance)


@pytest.mark.parametrize("stream", [False, True])
def test_a_missing_final_usage_is_not_free(instance, stream):
    """Known elsewhere: the whole delivered answer is refunded when its usage never came."""
    secret = account(instance, "acme")
    address = instance.start()
    answer = chat(address, secret, body("silent", stream=stream))
    assert answer.status == 200
    record = record_of(address, secret, answer.headers["x-request-id"])
    assert record["status"] == "completed"
    assert record["usage"]["source"] == "bound"
    assert "upper bound is charged" in record["reason"]
    counted = record_of(
        address, secret, chat(address, secret, body("demo")).headers["x-request-id"]
    )
    assert record["usage"]["completion_tokens"] >= counted["usage"]["completion_tokens"]
    assert record["cost"]["amount_nano"] == cost_of(record["usage"])
    assert instance.stop() == 0
    assert_sound(instance)


def test_a_repeated_id_of_an_upstream_is_charged_each_time(instance):
    """Known elsewhere: the upstream's id is the key of the record, so the second one is dropped."""
    with (
        mock_port(script=ScriptOptions(chunks=8)) as one,
        mock_port(script=ScriptOptions(chunks=8)) as two,
    ):
        add_upstream(instance, "one", f"http://127.0.0.1:{one}/v1")
        add_upstream(instance, "two", f"http://127.0.0.1:{two}/v1")
        secret = account(instance, "acme")
        address = instance.start()
        answers = [chat(address, secret, body(name)) for name in ("one", "two")]
        assert [answer.status for answer in answers] == [200, 200]
        ids = {answer.headers["x-request-id"] for answer in answers}
        assert len(ids) == 2
        found = records(address, secret)
        assert {record["id"] for record in found} == ids
        costs = [record["cost"]["amount_nano"] for record in found]
        assert min(costs) > 0
        assert spent_nano(address, secret) == sum(costs)
        assert instance.stop() == 0
    assert_sound(instance)


def test_cancelled_calls_leak_no_hold(instance):
    """Known elsewhere: a cancellation is no ordinary error, so its reservation is never released,
    until calls are refused that the money could well pay."""
    worst_nano = (9 * INPUT_PICO + 400 * OUTPUT_PICO) // 1000
    secret = account(instance, "acme", credit_nano=20 * worst_nano)
    address = instance.start()
    fields = body("slow", max_tokens=400, stream=True)
    for _ in range(5):
        links = [connect(address) for _ in range(8)]
        for place, link in enumerate(links):
            link.sendall(raw_post(secret, fields))
            if place % 2:
                assert link.recv(65536)
            reset(link)
        until(lambda: all(r["status"] != "running" for r in records(address, secret)))
    until(lambda: held_nano(instance) == 0)
    balance = get(address, "/v1/balance", secret).document()
    assert balance["limits"][0]["held"]["amount_nano"] == 0
    spent = sum(record["cost"]["amount_nano"] for record in records(address, secret))
    assert balance["limits"][0]["spent"]["amount_nano"] == spent
    left = balance["limits"][0]["remaining"]["amount_nano"]
    tokens = (left * 1000 - 9 * INPUT_PICO) // OUTPUT_PICO
    assert left > 15 * worst_nano, "cancelled calls cost what was delivered, not what was held"
    full = chat(address, secret, body("demo", max_tokens=min(tokens, 4000)))
    assert full.status == 200
    assert "x-tokenbooth-output-lowered" not in full.headers
    assert instance.stop() == 0
    assert_sound(instance)


def test_a_stop_loses_no_charge_that_waits_to_be_booked(instance):
    """Known elsewhere: spend rows wait in memory, and are lost or cut to a page at the stop."""
    secret = account(instance, "acme")
    address = instance.start()
    before = spent_nano(address, secret)
    found = asyncio.run(many(address, secret, 300, body("demo", max_tokens=8)))
    assert set(found) == {200}
    assert instance.stop() == 0
    address = instance.start()
    kept = records(address, secret)
    assert len(kept) == 300
    assert len({record["id"] for record in kept}) == 300
    assert all(r["cost"]["amount_nano"] == cost_of(r["usage"]) > 0 for r in kept)
    costs = sum(record["cost"]["amount_nano"] for record in kept)
    assert spent_nano(address, secret) == before + costs
    assert instance.stop() == 0
    assert_sound(instance)


def test_replayed_events_are_booked_once(instance, tmp_path):
    """Known elsewhere: the same usage event, delivered again, is charged again.

    The journal is put back as it was before its calls were booked, and the server is killed, so
    that its next start replays every one of them.
    """
    secret = account(instance, "acme")
    address = instance.start()
    answers = [chat(address, secret, body("demo")) for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    spent = spent_nano(address, secret)
    journal = instance.data_dir / "replicas"
    shutil.copytree(journal, tmp_path / "before")
    for _ in range(3):
        instance.kill()
        shutil.rmtree(journal)
        shutil.copytree(tmp_path / "before", journal)
        address = instance.start()
        assert spent_nano(address, secret) == spent
        assert len(records(address, secret)) == 5
    recoveries = [line for line in log_lines(instance) if line["event"] == "replica_recovered"]
    assert [line["calls"] for line in recoveries] == [5, 5, 5]
    assert chat(address, secret, body("demo")).status == 200
    assert instance.stop() == 0
    assert_sound(instance)
