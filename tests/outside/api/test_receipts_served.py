"""Receipts and statements over HTTP from a real server, verified by the command without one."""

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.outside.api.conftest import Running
from tests.support.instances import new_account
from tokenbooth.proving.child import clean_environment, own_command

HELLO = [{"role": "user", "content": "hello there"}]


Told = tuple[int, dict[str, str], bytes]


def answer_to(ask: urllib.request.Request) -> Told:
    try:
        with urllib.request.urlopen(ask, timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, dict(refused.headers), refused.read()


def get(running: Running, path: str, secret: str | None) -> Told:
    headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
    return answer_to(urllib.request.Request(f"{running.base_url}{path}", headers=headers))


def chat(running: Running, secret: str, *, stream: bool = False, model: str = "demo") -> str:
    """One call; its id."""
    body = {"model": model, "messages": HELLO, "stream": stream, "max_tokens": 5}
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    url = f"{running.base_url}/chat/completions"
    _, told, _ = answer_to(urllib.request.Request(url, json.dumps(body).encode(), headers))
    return told["x-request-id"]


def verify(path: Path, *more: str) -> tuple[int, Any]:
    """The installed command, in a process of its own, with no data directory anywhere."""
    done = subprocess.run(
        own_command("receipt", "verify", str(path), "--json", *more),
        env=clean_environment({"HOME": str(path.parent)}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def account(running: Running) -> str:
    return new_account(running.instance, "receipts")


@pytest.fixture(scope="module")
def keys(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What anybody may fetch, without a key of the booth."""
    status, _, body = get(running, "/receipts/keys", None)
    assert status == 200
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_has_its_receipt_at_once_and_it_verifies_elsewhere(
    running: Running, account: str, keys: Path, tmp_path: Path, stream: bool
) -> None:
    request_id = chat(running, account, stream=stream)
    _, _, told = get(running, f"/requests/{request_id}", account)
    record = json.loads(told)
    assert record["receipt"] == f"/v1/requests/{request_id}/receipt"
    status, _, body = get(running, f"/requests/{request_id}/receipt", account)
    receipt = json.loads(body)
    assert status == 200
    assert receipt["amount_nano"] == record["cost"]["amount_nano"] > 0
    assert receipt["usage"]["output_tokens"] == record["usage"]["completion_tokens"]
    assert receipt["stream"] is stream
    path = tmp_path / "receipt.json"
    path.write_bytes(body)
    code, verdict = verify(path, "--key", str(keys))
    assert (code, verdict["verified"]) == (0, True)
    path.write_bytes(body.replace(b'"outcome":"completed"', b'"outcome":"refused"'))
    code, verdict = verify(path, "--key", str(keys))
    assert (code, verdict["verified"]) == (1, False)


def test_receipts_are_for_their_owner_alone(running: Running, account: str) -> None:
    request_id = chat(running, account, stream=False)
    for secret, status in ((running.foreign, 404), (None, 401)):
        found, _, body = get(running, f"/requests/{request_id}/receipt", secret)
        assert found == status
        assert b"root" not in body
        assert get(running, "/statement", secret)[0] == (200 if secret else 401)
    _, _, foreign = get(running, "/statement", running.foreign)
    assert request_id.encode() not in foreign


def test_a_statement_adds_up_to_what_left_the_balance(
    running: Running, keys: Path, tmp_path: Path
) -> None:
    secret = new_account(running.instance, "stated")
    ids = {chat(running, secret, stream=bool(number % 2)) for number in range(6)}
    status, headers, body = get(running, "/statement", secret)
    assert status == 200
    assert headers["content-type"] == "application/x-ndjson"
    *lines, end = [json.loads(line) for line in body.splitlines()]
    assert {line["request_id"] for line in lines} == ids
    balance = json.loads(get(running, "/balance", secret)[2])
    (total,) = end["totals"]
    assert total["amount_nano"] == balance["limits"][0]["spent"]["amount_nano"]
    assert total["amount_nano"] == sum(line["amount_nano"] for line in lines)
    path = tmp_path / "statement.jsonl"
    path.write_bytes(body)
    code, verdict = verify(path, "--key", str(keys))
    assert (code, verdict["receipts"]) == (0, len(ids))
    path.write_bytes(b"\n".join(body.splitlines()[1:]))
    assert verify(path, "--key", str(keys))[0] == 1
    _, headers, table = get(running, "/statement?format=csv", secret)
    assert headers["content-type"].startswith("text/csv")
    assert len(table.splitlines()) == len(ids) + 2
    assert table.splitlines()[-1].endswith(total["amount"].encode())


def test_the_operators_export_is_the_same_while_the_booth_serves(
    running: Running, tmp_path: Path
) -> None:
    secret = new_account(running.instance, "exported")
    chat(running, secret, stream=False)
    served = [json.loads(line) for line in get(running, "/statement", secret)[2].splitlines()]
    out = tmp_path / "export.jsonl"
    done = subprocess.run(
        own_command(
            *("statement", "export", "--org", "exported", "--out", str(out)),
            *("--data-dir", str(running.instance.data_dir)),
        ),
        env=clean_environment({}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    exported = [json.loads(line) for line in out.read_text().splitlines()]
    assert exported[:-1] == served[:-1]
    assert exported[-1]["receipts_sha256"] == served[-1]["receipts_sha256"]


def test_a_call_that_cost_nothing_has_a_receipt_too(
    running: Running, account: str, tmp_path: Path
) -> None:
    request_id = chat(running, account, model="broken")
    _, _, found = get(running, f"/requests/{request_id}/receipt", account)
    receipt = json.loads(found)
    assert (receipt["charged"], receipt["amount"]) == (False, "0.000000000")
    assert receipt["outcome"] == "engine_failed"
    path = tmp_path / "free.json"
    path.write_bytes(found)
    assert verify(path)[0] == 0
    _, _, statement = get(running, "/statement", account)
    assert request_id.encode() not in statement
