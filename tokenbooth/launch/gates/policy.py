"""Reads a policy: a TOML file in which each stage lists the gates of the edge that leads to it."""

import tomllib
from typing import Annotated

import msgspec

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.launch.gates.values import Figure, Gate, Need, Policy, Sense
from tokenbooth.launch.stages.service import Stage
from tokenbooth.signing.merkle import sha256

US_PER_HOUR = 3_600_000_000
VERSION = 1
GATED = (Stage.PRIVATE_PREVIEW, Stage.PUBLIC_PREVIEW, Stage.GA)
_Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{0,62}\Z")]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
_Some = Annotated[int, msgspec.Meta(ge=1, le=10**6)]
_Whole = Annotated[int, msgspec.Meta(ge=-(2**53) + 1, le=2**53 - 1)]


class _Need(msgspec.Struct, forbid_unknown_fields=True):
    figure: _Text
    at_least: _Whole | None = None
    at_most: _Whole | None = None
    # What it is can be a number, a text, yes or no; ``is`` is a word of the language.
    equals: _Whole | str | bool | None = msgspec.field(name="is", default=None)
    at_least_of_forecast: _Some | None = None
    at_least_of_predecessor: _Some | None = None
    at_most_of_predecessor: _Some | None = None


class _Gate(msgspec.Struct, forbid_unknown_fields=True):
    name: _Name
    title: _Text
    kind: _Text
    fresh_hours: _Some
    lead_days: _Count
    reproduce: _Text
    need: Annotated[list[_Need], msgspec.Meta(min_length=1, max_length=50)]


class _Edge(msgspec.Struct, forbid_unknown_fields=True):
    organizations: _Count = 0
    gate: Annotated[list[_Gate], msgspec.Meta(max_length=100)] = []


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    trusted_keys: list[Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]] = []
    untested: Annotated[list[_Text], msgspec.Meta(max_length=50)] = []
    private_preview: _Edge = msgspec.field(default_factory=_Edge)
    public_preview: _Edge = msgspec.field(default_factory=_Edge)
    ga: _Edge = msgspec.field(default_factory=_Edge)


def read_policy(raw: bytes) -> Policy:
    """Raises INVALID_VALUE naming the place that is wrong; nothing in the file is ignored."""
    try:
        found = msgspec.convert(tomllib.loads(raw.decode()), _File)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise _wrong(str(error)) from error
    if found.version != VERSION:
        raise _wrong(f"version must be {VERSION}")
    edges = {
        Stage.PRIVATE_PREVIEW: found.private_preview,
        Stage.PUBLIC_PREVIEW: found.public_preview,
    }
    edges[Stage.GA] = found.ga
    return Policy(
        edges={stage: _gates(stage, edge.gate) for stage, edge in edges.items()},
        populations={stage: edge.organizations for stage, edge in edges.items()},
        trusted=frozenset(bytes.fromhex(key) for key in found.trusted_keys),
        untested=tuple(found.untested),
        digest=sha256(raw).hex(),
    )


def _gates(stage: Stage, found: list[_Gate]) -> tuple[Gate, ...]:
    names = [gate.name for gate in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _wrong(f"{stage.value} has two gates of the name {twice!r}")
    return tuple(
        Gate(
            name=gate.name,
            title=gate.title,
            kind=gate.kind,
            fresh_us=gate.fresh_hours * US_PER_HOUR,
            lead_days=gate.lead_days,
            needs=tuple(_need(gate.name, need) for need in gate.need),
            reproduce=gate.reproduce,
        )
        for gate in found
    )


def _need(gate: str, need: _Need) -> Need:
    bounds: list[tuple[Sense, Figure | None, int | None, int | None]] = [
        (Sense.AT_LEAST, need.at_least, None, None),
        (Sense.AT_MOST, need.at_most, None, None),
        (Sense.IS, need.equals, None, None),
        (Sense.AT_LEAST, None, need.at_least_of_forecast, None),
        (Sense.AT_LEAST, None, None, need.at_least_of_predecessor),
        (Sense.AT_MOST, None, None, need.at_most_of_predecessor),
    ]
    stated = [each for each in bounds if any(part is not None for part in each[1:])]
    if len(stated) != 1:
        raise _wrong(f"{gate}: {need.figure} needs exactly one bound")
    sense, bound, forecast, predecessor = stated[0]
    return Need(
        figure=need.figure,
        sense=sense,
        bound=0 if bound is None else bound,
        of_forecast=forecast,
        of_predecessor=predecessor,
    )


def _wrong(said: str) -> Problem:
    return Problem(Code.INVALID_VALUE, f"The launch policy is wrong: {said}.", param="policy")
