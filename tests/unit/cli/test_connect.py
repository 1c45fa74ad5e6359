"""``connect`` writes what each client reads, and can make one turn as that client does."""

import ast
import json
import shlex
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.unit.cli.conftest import Command
from tokenbooth.cli import client as client_module
from tokenbooth.cli.recipes import ENV_KEY, RECIPES, Api, Target, recipe
from tokenbooth.control.up_key import keep_up_key
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

COST = {"amount_nano": 1500, "currency": "USD"}
TOKENS = {"input_tokens": 3, "output_tokens": 2, "cost": COST}
ANSWERS = {
    Api.CHAT: {
        "choices": [{"message": {"content": "Hello."}}, {"message": {"content": None}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "cost": COST},
    },
    Api.RESPONSES: {
        "output": [
            {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]},
            {"type": "message", "content": [{"type": "output_text", "text": "Hello."}]},
        ],
        "usage": TOKENS,
    },
    Api.MESSAGES: {
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hello."}],
        "usage": TOKENS,
    },
}
TARGET = Target("http://booth:8000", "tb_live_x", 'odd "name"')


class Booth:
    """Stands for the HTTP client: one model, one answer for each API."""

    asked: ClassVar[list[tuple[str, Any]]] = []
    offered: ClassVar[list[dict[str, str]]] = [{"id": "first"}, {"id": "second"}]

    def __init__(self, base_url: str, key_secret: str | None) -> None:
        self.made_with = (base_url, key_secret)

    def get(self, path: str) -> dict[str, Any]:
        Booth.asked.append((path, self.made_with))
        return {"data": Booth.offered}

    def post(self, path: str, body: Any) -> dict[str, Any]:
        Booth.asked.append((path, body))
        return ANSWERS[Api(path)]


@pytest.fixture(autouse=True)
def booth(monkeypatch: pytest.MonkeyPatch) -> type[Booth]:
    monkeypatch.setattr(client_module, "BoothClient", Booth)
    monkeypatch.setattr(Booth, "asked", [])
    return Booth


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_well_formed_and_holds_the_whole_target(name: str) -> None:
    made = recipe(name, TARGET)
    for where, content in made.files.items():
        read = tomllib.loads if where.endswith(".toml") else json.loads
        assert TARGET.model in repr(read(content))
    for where, content in made.programs.items():
        assert json.dumps(TARGET.model) in content
        if where.endswith(".py"):
            assert ast.parse(content).body
    everything = json.dumps([dict(made.variables), dict(made.files), dict(made.programs)])
    assert TARGET.base_url in everything
    assert TARGET.key in made.variables.values()
    assert bool(made.programs) is not bool(made.start)


def test_the_addresses_are_those_that_the_clients_want() -> None:
    wanted = {
        "claude-code": ("ANTHROPIC_BASE_URL", "http://booth:8000"),
        "anthropic": ("ANTHROPIC_BASE_URL", "http://booth:8000"),
        "openai": ("OPENAI_BASE_URL", "http://booth:8000/v1"),
        "langchain": ("OPENAI_BASE_URL", "http://booth:8000/v1"),
        "aider": ("OPENAI_API_BASE", "http://booth:8000/v1"),
        "qwen-code": ("OPENAI_BASE_URL", "http://booth:8000/v1"),
    }
    for name, (variable, address) in wanted.items():
        assert recipe(name, TARGET).variables[variable] == address
    codex = tomllib.loads(recipe("codex", TARGET).files["~/.codex/config.toml"])
    provider = codex["model_providers"][codex["model_provider"]]
    assert (provider["base_url"], provider["env_key"]) == ("http://booth:8000/v1", ENV_KEY)
    assert provider["wire_api"] == "responses"
    opencode = json.loads(recipe("opencode", TARGET).files["opencode.json"])
    provider_name, _, model = opencode["model"].partition("/")
    provider = opencode["provider"][provider_name]
    assert list(provider["models"]) == [model] == [TARGET.model]
    assert provider["options"] == {
        "baseURL": "http://booth:8000/v1",
        "apiKey": f"{{env:{ENV_KEY}}}",
    }


def test_side_calls_of_claude_code_ask_for_the_same_model() -> None:
    variables = recipe("claude-code", TARGET).variables
    models = {value for name, value in variables.items() if name.endswith("_MODEL")}
    assert models == {TARGET.model}


def test_an_unknown_client_is_refused_with_those_that_are_known(command: Command) -> None:
    with pytest.raises(Problem) as caught:
        recipe("emacs", TARGET)
    assert caught.value.code is Code.INVALID_VALUE
    said = command("connect", "emacs", "--base-url", "http://h", "--model", "m")
    assert said.code == 1
    assert "claude-code" in said.err


def test_the_text_can_be_copied(command: Command) -> None:
    said = command(
        "connect", "claude-code", "--base-url", "http://h/v1/", "--model", "a b", "--key", "k"
    )
    assert said.code == 0
    exported = dict(
        shlex.split(line)[1].split("=", 1)
        for line in said.out.splitlines()
        if line.startswith("export ")
    )
    assert exported["ANTHROPIC_BASE_URL"] == "http://h"
    assert exported["ANTHROPIC_MODEL"] == "a b"
    assert exported["ANTHROPIC_AUTH_TOKEN"] == "k"
    assert said.out.rstrip().endswith("Then start it: claude")


def test_files_and_programs_stand_under_their_names(command: Command) -> None:
    codex = command("connect", "codex", "--base-url", "http://h", "--model", "m").out
    config = codex.split("~/.codex/config.toml:\n")[1].split("\n\n# Then")[0]
    assert tomllib.loads(config)["model"] == "m"
    openai = command("connect", "openai", "--base-url", "http://h", "--model", "m").out
    program = openai.split("hello.py:\n")[1].split("\n\n# A program")[0]
    assert ast.parse(program).body


def test_without_a_key_a_place_for_it_is_left(command: Command, home: Path) -> None:
    keep_up_key(home, "tb_live_kept")
    said = command("connect", "openai", "--base-url", "http://h", "--model", "m", "--json")
    document = json.loads(said.out)
    assert document["variables"]["OPENAI_API_KEY"] == "YOUR_KEY"
    assert "tb_live_kept" not in said.out
    assert document["check"] is None
    assert Booth.asked == []


def test_the_model_is_the_first_on_offer(
    command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "TOKENBOOTH_API_KEY" in command("connect", "openai", "--base-url", "http://h").err
    keep_up_key(home, "tb_live_kept")
    said = command("connect", "openai", "--base-url", "http://h/v1", "--json")
    assert json.loads(said.out)["model"] == "first"
    assert Booth.asked == [("/v1/models", ("http://h", "tb_live_kept"))]
    monkeypatch.setattr(Booth, "offered", [])
    said = command("connect", "openai", "--base-url", "http://h", "--json")
    assert json.loads(said.out)["model"] == "YOUR_MODEL"


@pytest.mark.parametrize("name", RECIPES)
def test_a_check_is_one_turn_in_the_api_of_the_client(command: Command, name: str) -> None:
    asked = ("connect", name, "--base-url", "http://h", "--model", "m", "--key", "k", "--check")
    document = json.loads(command(*asked, "--json").out)
    assert document["check"] == {
        "answer": "Hello.",
        "input_tokens": 3,
        "output_tokens": 2,
        "cost": "0.000001500",
        "currency": "USD",
    }
    ((path, body),) = Booth.asked
    assert (path, body["model"]) == (document["api"], "m")
    said = command(*asked).out
    assert "'Hello.'" in said
    assert "3 input + 2 output tokens, 0.000001500 USD" in said
