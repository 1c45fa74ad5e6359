"""What a drill plays on: first as it is planned, then as it was made. Frozen nouns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenbooth.proving.observations import PriceSeen

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class OrgPlan:
    """An organization; ``cap_nano`` is its hard cap beside the balance, ``None`` for none."""

    name: str
    credit_nano: int
    cap_nano: int | None = None


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """A project beside the default one."""

    name: str
    org: str
    cap_nano: int | None = None


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A key; ``cap_nano`` is its own hard cap. Organizations and projects go by name."""

    name: str
    org: str = "main"
    project: str = DEFAULT_PROJECT
    cap_nano: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """A model on the scripted engine with the options ``script``, or at ``upstream_url``."""

    name: str
    price: PriceSeen
    output_tokens_max: int
    script: Mapping[str, str] = field(default_factory=dict)
    upstream_url: str | None = None
    context_tokens: int = 8192
    concurrency_max: int = 64
    queue_max: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """Everything to make; names are short and get a suffix of their own in the store."""

    orgs: tuple[OrgPlan, ...]
    models: tuple[ModelPlan, ...]
    keys: tuple[KeyPlan, ...]
    projects: tuple[ProjectPlan, ...] = ()


@dataclass(frozen=True, slots=True)
class StageKey:
    """A key that was made; ``org`` is the plan's name of its organization."""

    id: str
    secret: str
    org: str


@dataclass(frozen=True, slots=True)
class StageModel:
    """A model that was made: its name in the store, and its price."""

    name: str
    price: PriceSeen


@dataclass(frozen=True, slots=True)
class Stage:
    """All by the names of the plan. ``orgs`` are the names in the store; ``readers`` are secrets of
    one uncapped key for each organization, which makes no paying call."""

    orgs: Mapping[str, str]
    models: Mapping[str, StageModel]
    keys: Mapping[str, StageKey]
    readers: Mapping[str, str]

    @property
    def prices(self) -> dict[str, PriceSeen]:
        """By the models' names in the store, as records have them."""
        return {model.name: model.price for model in self.models.values()}

    def model(self, name: str | None) -> StageModel:
        """The one of that name in the plan, or the first."""
        return next(iter(self.models.values())) if name is None else self.models[name]
