"""The wheel without its extras: small, useful, and clear about what it lacks."""

import json
import shlex
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.outside.package.conftest import Installed

EXTRA_PACKAGES = ("numpy", "openvino", "openvino_genai", "tokenizers", "xllamacpp", "openai")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "booth"


def operate(base: Installed, data_dir: Path, *arguments: str) -> Any:
    said = base.tokenbooth(*arguments, "--json", "--data-dir", data_dir)
    assert said.code == 0, said.err
    return said.document


def test_it_brings_no_engine_and_no_client(base: Installed) -> None:
    names = repr(EXTRA_PACKAGES)
    program = f"from importlib.util import find_spec; print([n for n in {names} if find_spec(n)])"
    assert base.run(base.python, "-P", "-c", program).out.strip() == "[]"


@pytest.mark.parametrize(("more", "extras"), [((), "embedded"), (("--once",), "embedded,openai")])
def test_up_names_the_one_command_that_brings_the_rest(
    base: Installed, wheel: Path, data_dir: Path, more: tuple[str, ...], extras: str
) -> None:
    said = base.tokenbooth("up", *more, "--data-dir", data_dir)
    assert said.code == 1
    assert said.out == ""
    (line,) = [line for line in said.err.splitlines() if " -m pip install " in line]
    command = shlex.split(line[line.index(str(base.python)) :])
    assert command == [str(base.python), "-m", "pip", "install", f"tokenbooth[{extras}]"]
    assert not data_dir.exists()
    # pip knows the extra that is named; what it would bring was installed by another test.
    local = ("--no-index", "--no-deps", "--find-links", str(wheel.parent))
    tried = base.run(command[0], "-P", *command[1:], *local)
    assert tried.code == 0, tried.err
    assert "does not provide the extra" not in tried.out + tried.err


def test_help_names_every_command(base: Installed) -> None:
    said = base.tokenbooth("--help")
    assert said.code == 0
    for command in ("up", "init", "serve", "org", "key", "model", "ledger", "drill", "doctor"):
        assert f" {command} " in said.out


def test_a_scripted_model_is_sold_without_any_extra(base: Installed, data_dir: Path) -> None:
    assert "schema" in operate(base, data_dir, "init")["created"]
    operate(base, data_dir, "org", "create", "acme")
    operate(base, data_dir, "org", "credit", "acme", "1")
    operate(base, data_dir, "model", "add", "demo", "--scripted")
    operate(base, data_dir, "model", "price", "demo", "--input", "1", "--output", "2")
    secret = operate(base, data_dir, "key", "create", "acme")["secret"]
    with base.started("serve", "--port", "0", "--json", "--data-dir", data_dir) as booth:
        assert booth.stdout is not None
        address = json.loads("".join(iter(booth.stdout.readline, "}\n")) + "}")["base_url"]
        answer = chat(address, secret, "demo")
        assert answer["choices"][0]["finish_reason"] == "stop"
        cost_nano = answer["usage"]["cost"]["amount_nano"]
        booth.terminate()
        assert booth.wait(60) == 0, base.errors
    used = operate(base, data_dir, "usage", "acme")["total_cost"]["amount_nano"]
    assert used == cost_nano > 0
    assert operate(base, data_dir, "ledger", "verify")["sound"] is True


def chat(base_url: str, secret: str, model: str) -> Any:
    url = urlsplit(base_url)
    body = {"model": model, "messages": [{"role": "user", "content": "Hello!"}]}
    connection = HTTPConnection(str(url.hostname), url.port, timeout=60)
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    connection.request("POST", f"{url.path}/chat/completions", json.dumps(body), headers)
    response = connection.getresponse()
    found = json.loads(response.read())
    connection.close()
    assert response.status == 200, found
    return found
