"""What one call of a drill shall do. Frozen nouns, made from a seed and nothing else."""

from dataclasses import dataclass
from enum import StrEnum


class CallKind(StrEnum):
    """What one call of a drill is about."""

    WHOLE = "whole"
    STREAMED = "streamed"
    STREAM_CUT = "stream_cut"
    WHOLE_CUT = "whole_cut"
    OVER_CAP = "over_cap"
    MALFORMED = "malformed"
    UNKNOWN_MODEL = "unknown_model"
    WRONG_KEY = "wrong_key"
    ENGINE_KILL = "engine_kill"
    KEY_REVOKE = "key_revoke"
    REVOKED_KEY = "revoked_key"


CUTS = frozenset({CallKind.STREAM_CUT, CallKind.WHOLE_CUT})
CLIENT_FAULTS = frozenset(
    {CallKind.MALFORMED, CallKind.UNKNOWN_MODEL, CallKind.WRONG_KEY, CallKind.REVOKED_KEY}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """One call with a key of the stage, by its name there; ``model`` likewise, ``None``: the first.

    A cut call hangs up after ``cut_after_events`` events, the terminal one among them; at 0,
    ``pause_ms`` after it was sent, with nothing read. ``abrupt`` resets the connection instead of
    closing it. A ``strict`` call wants its stated output limit or nothing. ``way`` selects the
    variant of a fault, and ``statuses`` are those that a client fault may get; empty for paying
    calls.
    """

    number: int
    kind: CallKind
    key: str
    prompt: str
    model: str | None = None
    stream: bool = False
    include_usage: bool = False
    output_tokens_max: int | None = None
    strict: bool = False
    cut_after_events: int = 0
    pause_ms: int = 0
    abrupt: bool = False
    way: int = 0
    statuses: frozenset[int] = frozenset()

    @property
    def mark(self) -> str:
        """The end customer that the call names, so that its record is found without its id."""
        return f"call-{self.number:06d}"
