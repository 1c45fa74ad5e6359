"""Responses over a WebSocket, by the official client and by a raw one, on a running instance."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.outside.api.conftest import Running
from tests.outside.api.test_ends import in_loop, settled_record
from tests.outside.api.test_openai_responses import TOOL, balance_nano
from tests.support.instances import Script, add_scripts, in_booth, new_account
from tests.support.responses import TERMINAL, Folder
from tokenbooth.money.ledger import service as ledger
from tokenbooth.proving.instance import PrivateInstance

ENDS = {*TERMINAL, "error"}
# The official client opens sockets in a way that its library is about to give up.
pytestmark = pytest.mark.filterwarnings("ignore:connect.. must be used:DeprecationWarning")


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=running.secret, base_url=running.base_url, max_retries=0) as made:
        yield made


@pytest.fixture
def socket(client: openai.OpenAI) -> Iterator[Any]:
    with client.responses.connect() as made:
        yield made


def heard(socket: Any) -> list[Any]:
    """The events of one response, in order."""
    events = []
    for event in socket:
        events.append(event)
        if event.type in ENDS:
            break
    return events


def last(socket: Any) -> Any:
    *_, end = heard(socket)
    assert end.type == "response.completed", end.to_json()
    return end.response


def refused(socket: Any) -> tuple[Any, ...]:
    (event,) = heard(socket)
    assert event.type == "error", event.to_json()
    assert event.error.message
    assert event.error.request_id.startswith("req_")
    return event.status, event.error.code, event.error.param, event.error.type


@contextmanager
def raw(running: Running, **more: Any) -> Iterator[ClientConnection]:
    """By the header that clients of the other dialect send."""
    url = running.base_url.replace("http", "ws") + "/responses"
    with connect(url, additional_headers={"x-api-key": running.secret}, **more) as made:
        yield made


def say(socket: ClientConnection, **fields: Any) -> None:
    socket.send(json.dumps({"type": "response.create", "model": "demo", "input": "hi", **fields}))


def holds(booth, op, tx) -> int:
    return ledger.verify(op, tx).open_holds


def test_an_answer_is_the_same_and_costs_the_same_as_over_http(client, socket):
    over_http = client.responses.create(model="demo", input="hello there")
    before = balance_nano(client)
    socket.response.create(model="demo", input="hello there")
    events = [event.to_dict() for event in heard(socket)]
    first = events[0].pop("headers")
    folder = Folder()
    for event in events:
        folder.take(event)
    answer = folder.response
    assert answer["output"][0]["content"] == [
        part.to_dict() for part in over_http.output[0].content
    ]
    cost = answer["usage"]["cost"]
    assert cost == over_http.usage.model_extra["cost"]
    assert balance_nano(client) == before - cost["amount_nano"]
    assert first["x-request-id"] == "req_" + answer["id"].removeprefix("resp_")
    assert first["x-tokenbooth-held"]
    assert client.responses.retrieve(answer["id"]).output_text == over_http.output_text


def test_a_tool_round_trip_goes_on_without_storage(client, socket):
    choice = {"type": "function", "name": "weather"}
    socket.response.create(
        model="demo", input="The weather?", tools=[TOOL], tool_choice=choice, store=False
    )
    first = last(socket)
    (call,) = [item for item in first.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    socket.response.create(
        model="echo", input=[result], store=False, previous_response_id=first.id, tools=[TOOL]
    )
    second = last(socket)
    assert second.status == "completed"
    assert second.previous_response_id == first.id
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    socket.response.create(model="echo", input="go on", previous_response_id=second.id)
    stored = last(socket)
    listed = client.responses.input_items.list(stored.id, order="asc")
    kinds = [item.type for item in listed]
    assert kinds == ["message", "function_call", "function_call_output", "message", "message"]
    over_http = client.responses.create(
        model="echo", input="and on", previous_response_id=stored.id
    )
    assert over_http.output_text == "and on"


def test_what_is_remembered_is_the_last_response_of_a_stream_and_gone_with_the_socket(
    client, socket
):
    ids = []
    for text in ("one", "two"):
        socket.response.create(model="echo", input=text, store=False)
        ids.append(last(socket).id)
    socket.response.create(model="echo", input="x", store=False, previous_response_id=ids[0])
    unknown = (400, "previous_response_not_found", "previous_response_id", "invalid_request_error")
    assert refused(socket) == unknown
    socket.response.create(model="echo", input="x", store=False, previous_response_id=ids[1])
    kept = last(socket)
    with client.responses.connect() as other:
        other.response.create(model="echo", input="x", store=False, previous_response_id=kept.id)
        assert refused(other) == unknown
    # What fails to go on is forgotten; a client that tries again sends everything.
    socket.response.create(model="none", input="x", previous_response_id=kept.id)
    assert refused(socket)[1] == "model_not_found"
    socket.response.create(model="echo", input="x", previous_response_id=kept.id)
    assert refused(socket) == unknown


def test_a_stored_response_is_the_base_of_one_that_is_not(client, socket):
    stored = client.responses.create(model="echo", input="one")
    socket.response.create(model="echo", input="two", store=False, previous_response_id=stored.id)
    unstored = last(socket)
    socket.response.create(model="echo", input="three", previous_response_id=unstored.id)
    third = last(socket)
    listed = client.responses.input_items.list(third.id, order="asc")
    said = [part.text for item in listed for part in item.content]
    assert said == ["one", "one", "two", "two", "three"]
    client.responses.delete(stored.id)
    socket.response.create(model="echo", input="four", previous_response_id=third.id)
    assert refused(socket)[1] == "previous_response_not_found"


def test_streams_run_side_by_side_and_one_alone_in_its_order(running, socket):
    for name, model in (("a", "paced"), ("b", "paced"), ("a", "demo"), (None, "paced")):
        more = {} if name is None else {"stream_id": name}
        socket.response.create(model=model, input=f"{name}", store=False, **more)
    seen: list[tuple[str | None, str, str]] = []
    for event in socket:
        seen.append((event.stream_id, event.type, getattr(event, "delta", "")))
        if sum(kind in ENDS for _, kind, _ in seen) == 4:
            break
    lanes = [name for name, _, _ in seen]
    assert {"a", "b", None} == set(lanes)
    changes = sum(one != other for one, other in itertools.pairwise(lanes))
    assert changes > 20, "interleaved"
    of_a = [kind for name, kind, _ in seen if name == "a"]
    assert of_a.count("response.created") == 2
    assert of_a.index("response.completed") < of_a.index("response.created", 1)


def test_making_ready_is_free_and_can_be_gone_on_from(client, socket):
    before = balance_nano(client)
    socket.response.create(
        model="echo", input="Here is a book.", generate=False, store=False, tools=[TOOL]
    )
    events = heard(socket)
    kinds = ["response.created", "response.in_progress", "response.completed"]
    assert [event.type for event in events] == kinds
    ready = events[-1].response
    assert (ready.output, ready.usage.total_tokens) == ([], 0)
    assert balance_nano(client) == before
    socket.response.create(model="echo", input="And?", previous_response_id=ready.id)
    answer = last(socket)
    alone = client.responses.create(model="echo", input="And?")
    assert answer.usage.input_tokens > alone.usage.input_tokens


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "nothing"}, (404, "model_not_found", "model", "not_found_error")),
        ({"model": 3}, (400, "invalid_type", "model", "invalid_request_error")),
        ({"generate": "no"}, (400, "invalid_type", "generate", "invalid_request_error")),
        ({"stream_id": ""}, (400, "invalid_stream_id", "stream_id", "invalid_request_error")),
        ({"model": "broken"}, (502, "engine_failed", None, "server_error")),
        ({"type": "nonsense"}, (400, "invalid_value", "type", "invalid_request_error")),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_the_socket_lives_on(socket, fields, expected):
    asked = {"type": "response.create", "model": "demo", "input": "hi", **fields}
    socket.send_raw(json.dumps(asked))
    assert refused(socket) == expected
    socket.response.create(model="demo", input="hello")
    assert last(socket).output_text


def test_a_failure_inside_an_answer_is_its_last_event(client, socket):
    before = balance_nano(client)
    socket.response.create(model="breaks-late", input="x", stream_id="s")
    *_, end = heard(socket)
    assert (end.type, end.stream_id, end.response.status) == ("response.failed", "s", "failed")
    assert balance_nano(client) == before


def test_steering_is_refused_with_the_published_event(socket):
    socket.response.create(model="paced", input="x", stream_id="s")
    begun = next(iter(socket))
    socket.response.steer(input="left!", previous_response_id=begun.response.id)
    (event,) = [event for event in heard(socket) if event.type == "response.steer.failed"]
    assert (event.error.code, event.steer.input) == ("steering_not_supported", "left!")
    assert event.stream_id == "s"


def test_fields_of_the_transport_are_not_used_and_that_is_said(running):
    with raw(running) as socket:
        say(socket, background=True, stream=False, truncation="auto")
        first = json.loads(socket.recv())
        notes = first["headers"]["x-tokenbooth-notes"]
        assert "background=" in notes
        assert "stream=" in notes
        assert "truncation=" in notes
        while json.loads(socket.recv())["type"] not in ENDS:
            pass


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_api_key"),
        ({"authorization": "Bearer tb_live_nonsense"}, 401, "invalid_api_key"),
        ({"x-api-key": "tb_live_nonsense"}, 401, "invalid_api_key"),
    ],
)
def test_a_bad_key_is_answered_before_the_upgrade(running, headers, status, code):
    url = running.base_url.replace("http", "ws") + "/responses"
    with pytest.raises(InvalidStatus) as caught, connect(url, additional_headers=headers):
        pass
    answer = caught.value.response
    error = json.loads(answer.body)["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert answer.headers["x-request-id"] == error["request_id"]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([b"\x00\x01"], 1003),
        (["x" * (4 * 1024 * 1024 + 1)], 1009),
    ],
)
def test_what_is_no_message_ends_the_socket_with_its_code(running, frames, code):
    with raw(running, max_size=None) as socket:
        for frame in frames:
            socket.send(frame)
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(timeout=20)
        assert caught.value.rcvd.code == code


def test_a_message_that_is_no_json_is_answered(running):
    with raw(running) as socket:
        socket.send("{not json")
        event = json.loads(socket.recv())
        assert (event["status"], event["error"]["code"]) == (400, "malformed_json")
        say(socket)
        assert json.loads(socket.recv())["type"] == "response.created"


@pytest.mark.parametrize("abrupt", [False, True])
def test_a_client_that_goes_away_pays_for_what_it_got(running, abrupt):
    with raw(running) as socket:
        for name in ("a", "b"):
            say(socket, model="slow", stream_id=name)
        ids, deltas = {}, dict.fromkeys("ab", 0)
        while min(deltas.values()) < 3:
            event = json.loads(socket.recv())
            if event["type"] == "response.created":
                ids[event["stream_id"]] = event["response"]["id"].removeprefix("resp_")
            deltas[event["stream_id"]] += event["type"].endswith("text.delta")
        if abrupt:
            socket.socket.close()
        else:
            socket.close()

    async def scenario() -> None:
        for name, core in ids.items():
            record = await settled_record(running, f"req_{core}", running.secret)
            assert record["status"] == "client_gone"
            used = record["usage"]
            assert deltas[name] <= used["completion_tokens"] < 2000
            cost_nano = used["prompt_tokens"] * 1000 + used["completion_tokens"] * 4000
            assert record["cost"]["amount_nano"] == cost_nano

    in_loop(scenario)


def test_the_asynchronous_client_reads_two_streams_of_one_socket(running):
    async def scenario() -> None:
        async with (
            openai.AsyncOpenAI(api_key=running.secret, base_url=running.base_url) as client,
            client.responses.connect() as socket,
        ):
            for name in ("left", "right"):
                await socket.response.create(model="echo", input=name, stream_id=name)
            said = {}
            async for event in socket:
                if event.type in ENDS:
                    said[event.stream_id] = event.response.output_text
                if len(said) == 2:
                    break
            assert said == {"left": "left", "right": "right"}

    asyncio.run(scenario())


def test_a_server_that_stops_lets_what_runs_end_and_says_that_it_goes(tmp_path):
    with PrivateInstance(tmp_path) as instance:
        add_scripts(instance, Script("paced", {"chunks": "40", "chunk_delay_ms": "20"}))
        secret = new_account(instance, "acme")
        address = instance.start()
        running = Running(instance, address, secret, secret)
        with raw(running) as socket:
            say(socket, model="paced")
            say(socket, model="paced", input="too late")
            assert json.loads(socket.recv())["type"] == "response.created"
            stopping = asyncio.run(_stopped_while(instance, socket))
            events = stopping["events"]
            assert events[-2]["type"] == "response.completed"
            assert events[-1]["error"]["code"] == "server_shutting_down"
            assert (stopping["code"], stopping["status"]) == (1001, 0)
        assert in_booth(instance, holds) == 0


async def _stopped_while(instance: PrivateInstance, socket: ClientConnection) -> dict[str, Any]:
    stopping = asyncio.create_task(asyncio.to_thread(instance.stop))
    events: list[Any] = []

    def read() -> int:
        try:
            while True:
                events.append(json.loads(socket.recv(timeout=30)))
        except ConnectionClosed as closed:
            return 0 if closed.rcvd is None else closed.rcvd.code

    code = await asyncio.to_thread(read)
    return {"events": events, "code": code, "status": await stopping}
