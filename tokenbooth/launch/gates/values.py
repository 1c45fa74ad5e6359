"""Gates: what must have been measured before a stage opens."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from tokenbooth.launch.stages.values import Stage

Figure = int | str | bool


class Mark(StrEnum):
    """Anything but PASS is a no."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    STALE = "stale"
    MISSING = "missing"


class Sense(StrEnum):
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    IS = "is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One figure of the evidence's body, by its path with dots, against a bound.

    With ``of_forecast`` the bound is so many thousandths of the demand that is forecast, with
    ``of_predecessor`` of the same figure of the model before.
    """

    figure: str
    sense: Sense
    bound: Figure = 0
    of_forecast: int | None = None
    of_predecessor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """``kind`` of evidence, at most ``fresh_us`` old, that meets every need; ``lead_days`` is how
    long it takes to get there from nothing, ``reproduce`` the command that makes it."""

    name: str
    title: str
    kind: str
    fresh_us: int
    lead_days: int
    needs: tuple[Need, ...]
    reproduce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """``edges`` by the stage that they lead to; ``populations`` are the organizations expected
    there; ``trusted`` are public keys beside the booth's own; ``untested`` is said in each report.
    """

    edges: Mapping[Stage, tuple[Gate, ...]]
    populations: Mapping[Stage, int]
    trusted: frozenset[bytes]
    untested: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a judgement is about: the subject that evidence must name, who may sign, and now.

    ``forecast_milli`` is the demand that is expected, in thousandths of a call a second, ``None``
    where nobody knows; ``predecessor`` the newest sound bodies of the model before, by kind, and
    ``None`` where there is no such model.
    """

    subject: Mapping[str, str]
    keys: frozenset[bytes]
    now_us: int
    forecast_milli: int | None = None
    predecessor: Mapping[str, Mapping[str, object]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One need as it was found. ``value`` and ``bound`` are ``None`` where there is none;
    ``margin_permille`` is the room to the bound in thousandths of it, negative beyond it."""

    figure: str
    sense: Sense
    value: Figure | None
    bound: Figure | None
    margin_permille: int
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A gate judged. ``evidence`` is a digest, empty where there is none; ``why`` are the reasons
    in words, none for a pass; ``revoked`` says that what counted was taken back."""

    gate: Gate
    mark: Mark
    readings: tuple[Reading, ...] = ()
    evidence: str = ""
    key_id: str = ""
    age_us: int | None = None
    expires_us: int | None = None
    why: tuple[str, ...] = ()
    revoked: bool = False

    @property
    def margin_permille(self) -> int | None:
        """The narrowest; ``None`` where nothing could be read."""
        return min((each.margin_permille for each in self.readings), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Somebody by name lets a gate be, until a day, for a reason."""

    model: str
    stage: Stage
    gate: str
    owner: str
    reason: str
    expires_us: int
    granted_us: int
    granted_by: str


NO_POLICY = Policy(
    edges=MappingProxyType({}),
    populations=MappingProxyType({}),
    trusted=frozenset(),
    untested=(),
    digest="",
)
