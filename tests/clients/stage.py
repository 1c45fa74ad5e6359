"""A private booth with what the clients are asked for: models, and a rich and a poor key each."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.table import Client
from tests.support.instances import CREDIT_NANO, INPUT_PICO, OUTPUT_PICO, in_booth
from tests.support.weights import smollm2
from tokenbooth.booth import Booth
from tokenbooth.catalog.models.service import DeploymentAsk, EngineKind, ModelAsk
from tokenbooth.cli.client import BoothClient
from tokenbooth.control import accounts, keys, models, prices
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.money.prices.service import PriceAsk
from tokenbooth.proving.instance import PrivateInstance

HELLO, SMALL, ABSENT = "hello", "smollm2-135m", "no-such-model"
HELLO_TEXT = "Tokenbooth says hello."
TOOL_TEXT = "The tool has run."
TOOL_ARGUMENTS = {"place": "Oslo"}
PROOF_FILE, PROOF_TEXT = "proof.txt", "tokenbooth-ran"
_SHELL = f"echo {PROOF_TEXT} > {PROOF_FILE}"
# The shell of each client that has one, and how it is called.
_SHELLS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "claude-code": ("Bash", {"command": _SHELL, "description": "Make the proof"}),
    "codex": ("exec_command", {"cmd": _SHELL}),
    "opencode": ("bash", {"command": _SHELL, "description": "Make the proof"}),
    "qwen-code": (
        "run_shell_command",
        {"command": _SHELL, "description": "Make the proof", "is_background": False},
    ),
}
# By this name Codex knows a model to which it offers its freeform tool.
PATCHER = "gpt-5.5"
_PATCH = f"*** Begin Patch\n*** Add File: {PROOF_FILE}\n+{PROOF_TEXT}\n*** End Patch"
# Agents send prompts of 10,000 tokens and more, and want room for long answers.
_WINDOW_TOKENS = 400_000
CALLS_MAX = 100


def tool_model(client: Client) -> str:
    """The model that calls a tool of this client."""
    return f"tools-{client.name}" if client.name in _SHELLS else "tools"


@dataclass(frozen=True)
class Stage:
    """``rich`` and ``poor`` are key secrets by the client's name."""

    instance: PrivateInstance
    base_url: str
    rich: Mapping[str, str]
    poor: Mapping[str, str]
    small: bool

    def calls(self, client: Client) -> list[dict[str, Any]]:
        """The records of the rich key's calls, newest first."""
        booth = BoothClient(self.base_url, self.rich[client.name])
        found: list[dict[str, Any]] = booth.get(f"/v1/requests?limit={CALLS_MAX}")["data"]
        return found


@contextmanager
def open_stage(directory: Path, clients: Iterable[Client], *, small: bool) -> Iterator[Stage]:
    """``small``: with the real model on the embedded engine."""
    with PrivateInstance(directory) as instance:
        offered = [*_scripted(), *([_embedded()] if small else [])]
        named = list(clients)

        def make(booth: Booth, op: Op, tx: Tx) -> tuple[dict[str, str], dict[str, str]]:
            for ask in offered:
                models.add_model(op, tx, ask, booth.ids)
                price = PriceAsk(ask.name, INPUT_PICO, OUTPUT_PICO)
                prices.price_model(op, tx, price, booth.ids, confirmed=True)
            rich = {each.name: _key(booth, op, tx, each.name, CREDIT_NANO) for each in named}
            poor = {each.name: _key(booth, op, tx, f"poor-{each.name}", 0) for each in named}
            return rich, poor

        rich, poor = in_booth(instance, make)
        address = instance.start()
        yield Stage(instance, address.base_url, rich, poor, small)


def _key(booth: Booth, op: Op, tx: Tx, org: str, credit_nano: int) -> str:
    accounts.create_organization(op, tx, accounts.OrganizationAsk(org), booth.ids)
    if credit_nano:
        accounts.add_credit(op, tx, org, credit_nano, f"first-{org}")
    return keys.create_key(op, tx, keys.NewKey(org=org, name="client"), booth.mint).secret


def _scripted() -> Iterator[ModelAsk]:
    calls: dict[str, tuple[str, Mapping[str, object]]] = {"tools": ("weather", TOOL_ARGUMENTS)}
    calls |= {f"tools-{name}": shell for name, shell in _SHELLS.items()}
    yield _script(HELLO, {"text": HELLO_TEXT})
    calls[PATCHER] = ("apply_patch", {"input": _PATCH})
    for model, (tool, arguments) in calls.items():
        # It thinks first, so that reasoning goes back with the result of the tool.
        told = {"call": tool, "call_arguments": json.dumps(arguments), "reasoning_tokens": "6"}
        yield _script(model, {"text": TOOL_TEXT, **told})


def _script(name: str, options: Mapping[str, str]) -> ModelAsk:
    script = {"answer": "text", "context_tokens": str(_WINDOW_TOKENS), **options}
    deployment = DeploymentAsk(engine=EngineKind.SCRIPTED, options=script, concurrency_max=16)
    return ModelAsk(name=name, deployments=(deployment,))


def _embedded() -> ModelAsk:
    deployment = models.gguf_deployment(smollm2(), EngineKind.EMBEDDED)
    return ModelAsk(name=SMALL, deployments=(deployment,))
