"""What stays in the house: prompts nowhere at all, secrets nowhere in the open, tenants apart."""

import asyncio
import json

import pytest

from tests.support.attack import CHAT, account, body, chat, get, record_of
from tests.support.instances import Script, add_scripts
from tokenbooth.core.caller import Scope
from tokenbooth.proving.client import Ask, bearer, call
from tokenbooth.proving.instance import PrivateInstance

CANARY = "canary7731"


def said(**fields) -> str:
    return json.dumps(body("echo", **fields))


def one(message) -> str:
    return json.dumps({"model": "echo", "messages": [message]})


SPOKEN = {
    "a prompt": one({"role": "user", "content": CANARY}),
    "a prompt in parts": one({"role": "user", "content": [{"type": "text", "text": CANARY}]}),
    "a system prompt": one({"role": "system", "content": CANARY}),
    "a stream": said(stream=True, messages=[{"role": "user", "content": CANARY}]),
    "a model": json.dumps({"model": CANARY, "messages": []}),
    "a role": one({"role": CANARY, "content": "x"}),
    "a strange field": said(**{CANARY: CANARY}),
    "a key twice": f'{{"model":"echo","{CANARY}":1,"{CANARY}":2}}',
    "a key twice inside": one({"role": "user"})[:-3] + f',"{CANARY}":1,"{CANARY}":2}}]}}',
    "half a body": one({"role": "user", "content": CANARY})[:-5],
    "NUL after it": one({"role": "user", "content": CANARY + "\0"}),
    "a broken name": said(metadata={CANARY: "x\ud800"}),
    "a stop": said(stop=[CANARY]),
    "a tool": said(tools=[{"type": "function", "function": {"name": CANARY}}]),
    "a tool that is none": said(tool_choice={"type": "function", "function": {"name": CANARY}}),
    "a schema": said(
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"description": CANARY}},
        }
    ),
}


def test_no_word_of_a_call_is_found_in_any_file(tmp_path):
    home = tmp_path / "home"
    with PrivateInstance(home, settings={"log.level": "debug"}) as instance:
        add_scripts(instance, Script("echo", {"answer": "echo"}))
        secret = account(instance, "acme")
        address = instance.start()
        heard = b""
        for raw in SPOKEN.values():
            ask = Ask("POST", CHAT, bearer(secret), raw.encode("utf-8", "surrogatepass"))
            heard += asyncio.run(call(address, ask)).body
        assert heard.count(CANARY.encode()) >= 4  # it was understood, and answered
        wrong = chat(address, secret[:-1] + ("a" if secret[-1] != "a" else "b"), body("echo"))
        assert wrong.status == 401
        metrics = get(address, "/metrics", secret).body
        files = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
        assert instance.stop() == 0
        files |= {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert any(path.name == "tokenbooth.db" for path in files)
    for path, content in {**files, home / "metrics": metrics}.items():
        assert CANARY.encode() not in content, path
        assert secret.encode() not in content, path
        assert secret[8:-6].encode() not in content, path


def test_only_the_owner_can_read_what_the_instance_wrote(sqlite_target):
    instance = sqlite_target.instance
    log = instance.log_path
    for path in instance.data_dir.rglob("*"):
        if path != log:
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_scope_opens_its_own_doors_only(target):
    reads = account(target.instance, "acme", scopes=frozenset({Scope.READ}))
    infers = account(target.instance, "acme", scopes=frozenset({Scope.INFERENCE}))
    assert chat(target.address, reads, body("demo")).status == 403
    assert get(target.address, "/v1/models", reads).status == 403
    for path in ("/v1/balance", "/v1/usage", "/v1/requests", "/v1/requests/req_1"):
        assert get(target.address, path, infers).status == 403


@pytest.mark.parametrize(
    "lookalike",
    ["DEMO", " demo", "demo ", "demo\t", "d\u0435mo", "demo\u200b", "\uff44emo", "demo/", "./demo"],
)
def test_an_allow_list_is_taken_by_the_letter(sqlite_target, lookalike):
    key = account(sqlite_target.instance, "acme", models=frozenset({"demo"}))
    answer = chat(sqlite_target.address, key, body(lookalike))
    assert answer.status == 403
    assert answer.document()["error"]["code"] == "model_not_allowed"


def test_another_tenants_ids_open_nothing(target):
    mine = chat(target.address, target.secret, body("demo"))
    request_id = mine.headers["x-request-id"]
    record = record_of(target.address, target.secret, request_id)
    paths = [f"/v1/requests?{name}={record[name]}" for name in ("key_id", "project_id")]
    for path in (*paths, f"/v1/requests?after={request_id}"):
        page = get(target.address, path, target.foreign).document()
        assert all(row["id"] != request_id for row in page["data"])
        assert request_id not in json.dumps(page)
    unknown = f"/v1/requests/{request_id[:-4]}0000"
    foreign = get(target.address, f"/v1/requests/{request_id}", target.foreign)
    assert foreign.status == get(target.address, unknown, target.foreign).status == 404


@pytest.mark.parametrize("wild", ["%25", "req_%25", "req_01%5f", "_", "*", "%27%20or%201=1--"])
def test_no_wild_card_stands_for_an_id(target, wild):
    for path in (f"/v1/requests/{wild}", f"/v1/requests?key_id={wild}"):
        answer = get(target.address, path, target.secret)
        assert answer.status in (400, 404) or answer.document()["data"] == []


def test_a_forwarded_address_makes_nobody_local_or_foreign(sqlite_target):
    """Who asks is told by the connection alone."""
    headers = (("x-forwarded-for", "8.8.8.8"), ("forwarded", "for=8.8.8.8"))
    answer = asyncio.run(call(sqlite_target.address, Ask("GET", "/metrics", headers)))
    assert answer.status == 200
