"""Models and deployments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class EngineKind(StrEnum):
    EMBEDDED = "embedded"
    LLAMACPP = "llamacpp"
    UPSTREAM = "upstream"
    SCRIPTED = "scripted"
    STATIC = "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentAsk:
    """A wish for a deployment; the defaults suit one engine on a small machine.

    ``gguf_path`` belongs to the engines with weights, and is an archive for static ones; the three
    ``upstream_`` fields to an upstream, where an ``upstream_model`` of ``None`` means the model's
    own name.
    """

    engine: EngineKind
    gguf_path: str | None = None
    upstream_url: str | None = None
    upstream_model: str | None = None
    upstream_key_sealed: bytes | None = field(default=None, repr=False)
    concurrency_max: int = 8
    queue_max: int = 64
    queue_wait_max_s: int = 30
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAsk:
    """A wish for a model; deployments are tried in their order."""

    name: str
    deployments: tuple[DeploymentAsk, ...]
    context_tokens: int | None = None
    output_tokens_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One way to run a model, with its own queue. ``upstream_key_sealed``: see ``sealing.py``."""

    id: str
    model_name: str
    engine: EngineKind
    gguf_path: str | None
    upstream_url: str | None
    upstream_model: str | None
    upstream_key_sealed: bytes | None = field(repr=False)
    concurrency_max: int
    queue_max: int
    queue_wait_max_s: int
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A public name and its contract; ``None`` leaves a bound to the engine."""

    id: str
    name: str
    context_tokens: int | None
    output_tokens_max: int | None
    created_us: int
    deployments: tuple[Deployment, ...]
