"""Frozen nouns of stored responses."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseAsk:
    """A response that is to be stored. ``epoch`` counts the runs of the process that has the call;
    ``previous_id`` is of the response that it goes on from."""

    org_id: str
    project_id: str
    response_id: str
    previous_id: str | None
    background: bool
    replica_id: str
    epoch: int
    keep_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """One row. Times are Unix microseconds; only a background response is ever ``running``, and
    ``cancelled`` once its caller asked for its end."""

    org_id: str
    project_id: str
    response_id: str
    previous_id: str | None
    background: bool
    running: bool
    replica_id: str
    epoch: int
    created_us: int
    expires_us: int
    cancelled: bool
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Content:
    """What is sealed: the input items, and the response, each as JSON text."""

    items: bytes = field(repr=False)
    response: bytes = field(repr=False)

    @property
    def size_bytes(self) -> int:
        return len(self.items) + len(self.response)
