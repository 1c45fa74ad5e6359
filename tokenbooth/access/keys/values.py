"""API keys."""

from dataclasses import dataclass, field

from tokenbooth.core.caller import Caller, CallLimits, Scope
from tokenbooth.core.terms import DataTerms

ALL_SCOPES = frozenset(Scope)
UNLIMITED = CallLimits()


@dataclass(frozen=True, slots=True)
class KeyAsk:
    """A wish for a key; ``models`` is an allow-list, ``None`` means every model."""

    project_id: str
    name: str
    scopes: frozenset[Scope] = ALL_SCOPES
    models: frozenset[str] | None = None
    expires_us: int | None = None
    limits: CallLimits = UNLIMITED


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret; ``prefix`` and ``last_four`` are of its newest secret."""

    id: str
    org_id: str
    project_id: str
    name: str
    prefix: str
    last_four: str
    scopes: frozenset[Scope]
    models: frozenset[str] | None
    limits: CallLimits
    created_us: int
    expires_us: int | None = None
    revoked_us: int | None = None


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A key with its secret, which is never seen again."""

    key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecretRow:
    """What is stored of a secret; ``hmac`` is HMAC-SHA256 under the pepper, 32 bytes."""

    hmac: bytes = field(repr=False)
    prefix: str
    last_four: str


@dataclass(frozen=True, slots=True)
class Found:
    """A key found by a secret's HMAC, with that secret's own end, its organization's limits and
    its project's data terms. ``caller`` follows from the rest, whether the key is good or not."""

    key: ApiKey
    secret_expires_us: int | None
    org_limits: CallLimits
    data_terms: DataTerms = DataTerms.PRIVATE
    caller: Caller = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        key = self.key
        caller = Caller(
            org_id=key.org_id,
            project_id=key.project_id,
            key_id=key.id,
            scopes=key.scopes,
            models=key.models,
            key_limits=key.limits,
            org_limits=self.org_limits,
            data_terms=self.data_terms,
        )
        object.__setattr__(self, "caller", caller)
