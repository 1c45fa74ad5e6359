"""What each known client needs to use a booth: variables, files, and a small program."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

ENV_KEY = "TOKENBOOTH_API_KEY"
QUESTION = "Say hello."
OUTPUT_TOKENS_MAX = 64


class Api(StrEnum):
    """The API that a client speaks, by its path."""

    CHAT = "/v1/chat/completions"
    RESPONSES = "/v1/responses"
    MESSAGES = "/v1/messages"


@dataclass(frozen=True, slots=True)
class Target:
    """``base_url`` is the booth's, without ``/v1``."""

    base_url: str
    key: str
    model: str

    @property
    def v1(self) -> str:
        return f"{self.base_url}/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """``files`` are by where they belong, ``programs`` by the file that runs them; ``start`` is
    typed in a shell that has the ``variables``."""

    client: str
    api: Api
    variables: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    start: str = ""


def recipe(name: str, target: Target) -> Recipe:
    """Raises INVALID_VALUE for an unknown client, naming those that are known."""
    made = RECIPES.get(name)
    if made is None:
        known = ", ".join(RECIPES)
        raise Problem(Code.INVALID_VALUE, f"No client {name!r} is known; known are {known}.")
    return made(target)


def _claude_code(target: Target) -> Recipe:
    """Its side calls ask for other models by default, which a booth does not offer."""
    models = ("ANTHROPIC_MODEL", *(f"ANTHROPIC_DEFAULT_{size}_MODEL" for size in _SIZES))
    return Recipe(
        client="Claude Code",
        api=Api.MESSAGES,
        variables={
            "ANTHROPIC_BASE_URL": target.base_url,
            "ANTHROPIC_AUTH_TOKEN": target.key,
            **dict.fromkeys(models, target.model),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
        start="claude",
    )


_SIZES = ("OPUS", "SONNET", "HAIKU")


def _codex(target: Target) -> Recipe:
    config = [
        f"model = {_toml(target.model)}",
        'model_provider = "tokenbooth"',
        "",
        "[model_providers.tokenbooth]",
        'name = "Tokenbooth"',
        f"base_url = {_toml(target.v1)}",
        f'env_key = "{ENV_KEY}"',
        'wire_api = "responses"',
        "",
    ]
    return Recipe(
        client="Codex CLI",
        api=Api.RESPONSES,
        variables={ENV_KEY: target.key},
        files={"~/.codex/config.toml": "\n".join(config)},
        start="codex",
    )


def _opencode(target: Target) -> Recipe:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Tokenbooth",
        "options": {"baseURL": target.v1, "apiKey": f"{{env:{ENV_KEY}}}"},
        "models": {target.model: {}},
    }
    name = f"tokenbooth/{target.model}"
    config = {
        "$schema": "https://opencode.ai/config.json",
        "provider": {"tokenbooth": provider},
        "model": name,
        "small_model": name,
    }
    return Recipe(
        client="opencode",
        api=Api.CHAT,
        variables={ENV_KEY: target.key},
        files={"opencode.json": json.dumps(config, indent=2) + "\n"},
        start="opencode",
    )


def _aider(target: Target) -> Recipe:
    return Recipe(
        client="aider",
        api=Api.CHAT,
        variables={
            "OPENAI_API_BASE": target.v1,
            "OPENAI_API_KEY": target.key,
            "AIDER_MODEL": f"openai/{target.model}",
        },
        start="aider --no-show-model-warnings",
    )


def _qwen_code(target: Target) -> Recipe:
    return Recipe(
        client="qwen-code",
        api=Api.CHAT,
        variables={**_openai_variables(target), "OPENAI_MODEL": target.model},
        start="qwen --auth-type openai",
    )


def _openai(target: Target) -> Recipe:
    python = f"""\
from openai import OpenAI

client = OpenAI()
answer = client.chat.completions.create(
    model={json.dumps(target.model)},
    messages=[{{"role": "user", "content": "{QUESTION}"}}],
    max_completion_tokens={OUTPUT_TOKENS_MAX},
)
print(answer.choices[0].message.content)
"""
    javascript = f"""\
import OpenAI from "openai";

const client = new OpenAI();
const answer = await client.chat.completions.create({{
  model: {json.dumps(target.model)},
  messages: [{{ role: "user", content: "{QUESTION}" }}],
  max_completion_tokens: {OUTPUT_TOKENS_MAX},
}});
console.log(answer.choices[0].message.content);
"""
    return Recipe(
        client="the openai packages",
        api=Api.CHAT,
        variables=_openai_variables(target),
        programs={"hello.py": python, "hello.mjs": javascript},
    )


def _anthropic(target: Target) -> Recipe:
    python = f"""\
from anthropic import Anthropic

client = Anthropic()
answer = client.messages.create(
    model={json.dumps(target.model)},
    messages=[{{"role": "user", "content": "{QUESTION}"}}],
    max_tokens={OUTPUT_TOKENS_MAX},
)
print(next(block.text for block in answer.content if block.type == "text"))
"""
    javascript = f"""\
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic();
const answer = await client.messages.create({{
  model: {json.dumps(target.model)},
  messages: [{{ role: "user", content: "{QUESTION}" }}],
  max_tokens: {OUTPUT_TOKENS_MAX},
}});
console.log(answer.content.find((block) => block.type === "text").text);
"""
    return Recipe(
        client="the anthropic packages",
        api=Api.MESSAGES,
        variables={"ANTHROPIC_BASE_URL": target.base_url, "ANTHROPIC_API_KEY": target.key},
        programs={"hello.py": python, "hello.mjs": javascript},
    )


def _ai_sdk(target: Target) -> Recipe:
    javascript = f"""\
import {{ generateText }} from "ai";
import {{ createOpenAICompatible }} from "@ai-sdk/openai-compatible";

const booth = createOpenAICompatible({{
  name: "tokenbooth",
  baseURL: {json.dumps(target.v1)},
  apiKey: process.env.{ENV_KEY},
}});
const {{ text }} = await generateText({{
  model: booth({json.dumps(target.model)}),
  prompt: "{QUESTION}",
  maxOutputTokens: {OUTPUT_TOKENS_MAX},
}});
console.log(text);
"""
    return Recipe(
        client="the AI SDK",
        api=Api.CHAT,
        variables={ENV_KEY: target.key},
        programs={"hello.mjs": javascript},
    )


def _langchain(target: Target) -> Recipe:
    python = f"""\
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model={json.dumps(target.model)}, max_tokens={OUTPUT_TOKENS_MAX})
print(model.invoke("{QUESTION}").content)
"""
    javascript = f"""\
import {{ ChatOpenAI }} from "@langchain/openai";

const model = new ChatOpenAI({{
  model: {json.dumps(target.model)},
  maxTokens: {OUTPUT_TOKENS_MAX},
}});
console.log((await model.invoke("{QUESTION}")).content);
"""
    return Recipe(
        client="LangChain",
        api=Api.CHAT,
        variables=_openai_variables(target),
        programs={"hello.py": python, "hello.mjs": javascript},
    )


def _openai_variables(target: Target) -> dict[str, str]:
    return {"OPENAI_BASE_URL": target.v1, "OPENAI_API_KEY": target.key}


def _toml(text: str) -> str:
    """A basic string: what JSON writes for these texts is one too."""
    return json.dumps(text)


RECIPES: Mapping[str, Callable[[Target], Recipe]] = MappingProxyType(
    {
        "claude-code": _claude_code,
        "codex": _codex,
        "opencode": _opencode,
        "aider": _aider,
        "qwen-code": _qwen_code,
        "openai": _openai,
        "anthropic": _anthropic,
        "ai-sdk": _ai_sdk,
        "langchain": _langchain,
    }
)
