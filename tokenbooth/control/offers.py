"""What is on offer to one key, in the one body that the models list of each SDK reads.

``object``, ``created``, ``owned_by`` and ``shutdown_date`` are of one API; ``type``,
``display_name``, ``created_at``, ``lifecycle``, ``max_input_tokens`` and ``capabilities`` of the
other; the rest is ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tokenbooth.catalog.cards import service as cards
from tokenbooth.catalog.cards.service import Card
from tokenbooth.catalog.models import service as catalog
from tokenbooth.catalog.models.service import Deployment, Model
from tokenbooth.control.certificates import capacity_json
from tokenbooth.control.documents import Json, iso_day, iso_time, offer_json, rate_limits_json
from tokenbooth.control.prices import offered_version
from tokenbooth.core.caller import Caller, CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms
from tokenbooth.launch.cohorts import service as cohorts
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage, Standing
from tokenbooth.money.prices.service import PriceVersion
from tokenbooth.verify.applied import service as certificates
from tokenbooth.verify.applied.service import Applied

US_PER_S = 1_000_000
OWNER = "tokenbooth"
LIFECYCLE_ACTIVE, LIFECYCLE_DEPRECATED = "active", "deprecated"

Abilities = Callable[[Deployment], Capabilities | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A model with everything that this caller may know of it.

    ``features`` is ``None`` as long as no engine of the model is up; ``context_tokens`` is the
    shortest window that is known. What ``standing`` decides, ``card`` only tells where nothing was
    decided.
    """

    model: Model
    card: Card | None
    standing: Standing | None
    version: PriceVersion
    data_terms: DataTerms
    limits: CallLimits
    context_tokens: int | None
    features: frozenset[Feature] | None
    writes: bool = True
    capacity: Json | None = None

    @property
    def display_name(self) -> str:
        said = None if self.card is None else self.card.display_name
        return self.model.name if said is None else said

    @property
    def stage(self) -> str | None:
        if self.standing is not None:
            return self.standing.stage.value
        return None if self.card is None or self.card.stage is None else self.card.stage.value

    @property
    def deprecated_us(self) -> int | None:
        if self.standing is None:
            return cards.deprecated_us(self.card)
        ending = self.standing.stage is Stage.DEPRECATED
        return self.standing.effective_us if ending else None

    @property
    def shutdown_us(self) -> int | None:
        if self.standing is not None and self.standing.sunset_us is not None:
            return self.standing.sunset_us
        return None if self.card is None else self.card.shutdown_us

    def can(self, feature: Feature) -> bool:
        return self.features is not None and feature in self.features

    @property
    def input_modalities(self) -> list[str]:
        senses = {"image": Feature.IMAGES, "audio": Feature.AUDIO}
        return ["text", *(name for name, feature in senses.items() if self.can(feature))]

    @property
    def output_modalities(self) -> list[str]:
        made = ["text"] if self.writes else []
        return [*made, "embedding"] if self.can(Feature.EMBEDDINGS) else made


@dataclass(frozen=True, slots=True)
class PageAsk:
    """At most ``limit`` models beyond ``after_id`` or before ``before_id``; ``None`` means all."""

    limit: int | None = None
    after_id: str | None = None
    before_id: str | None = None


def offers(op: Op, tx: Tx, caller: Caller, abilities: Abilities) -> tuple[Offer, ...]:
    """The models that this key may call, by name: allowed to it, open to it, and priced."""
    said, decided = cards.cards(op, tx), stages.standings(op, tx)
    in_force = certificates.applied(op, tx)
    found: list[Offer] = []
    for model in catalog.models(op, tx):
        if caller.models is None or model.name in caller.models:
            standings = decided.get(model.name, ())
            version = offered_version(op, tx, caller.org_id, model.name)
            if version is None or not _priced(version, caller):
                continue
            if _shut(op, tx, caller, model.name, standings) is None:
                told = _Told(said.get(model.name), _whole(standings))
                made = _offer(model, told, version, caller, abilities)
                found.append(_with_capacity(op, made, in_force.get(model.name), abilities))
    return tuple(found)


def offer(op: Op, tx: Tx, caller: Caller, name: str, abilities: Abilities) -> Offer:
    """Raises MODEL_NOT_ALLOWED, whether the model exists or not; MODEL_NOT_FOUND, MODEL_NOT_OPEN,
    MODEL_RETIRED, PRICE_UNKNOWN."""
    if caller.models is not None and name not in caller.models:
        raise Problem(
            Code.MODEL_NOT_ALLOWED, f"This key may not use the model {name!r}.", param="model"
        )
    if not name.isprintable():
        raise Problem(
            Code.MODEL_NOT_FOUND, "A model's name has no control characters.", param="model"
        )
    model = catalog.model_by(op, tx, name)
    standings = stages.standings(op, tx).get(name, ())
    shut = _shut(op, tx, caller, name, standings)
    if shut is not None:
        raise shut
    version = offered_version(op, tx, caller.org_id, name)
    if version is None or not _priced(version, caller):
        raise Problem(
            Code.PRICE_UNKNOWN, f"The model {name!r} has no published price.", param="model"
        )
    told = _Told(cards.card_of(op, tx, name), _whole(standings))
    made = _offer(model, told, version, caller, abilities)
    return _with_capacity(op, made, certificates.applied_to(op, tx, name), abilities)


def page_json(found: Sequence[Offer], ask: PageAsk) -> Json:
    """Raises INVALID_VALUE for a cursor that is no model of this key."""
    names = [each.model.name for each in found]
    first, last = 0, len(found)
    if ask.after_id is not None:
        first = _place(names, ask.after_id, "after_id") + 1
    if ask.before_id is not None:
        last = _place(names, ask.before_id, "before_id")
    span = last - first
    shown = found[first:last]
    if ask.limit is not None:
        backwards = ask.before_id is not None and ask.after_id is None
        shown = shown[-ask.limit :] if backwards else shown[: ask.limit]
    return {
        "object": "list",
        "data": [offer_row(each) for each in shown],
        "has_more": len(shown) < span,
        "first_id": shown[0].model.name if shown else None,
        "last_id": shown[-1].model.name if shown else None,
    }


def offer_row(found: Offer) -> Json:
    model, deprecated_us = found.model, found.deprecated_us
    deprecated = deprecated_us is not None
    return {
        "id": model.name,
        "object": "model",
        "type": "model",
        "display_name": found.display_name,
        "created": model.created_us // US_PER_S,
        "created_at": iso_time(model.created_us),
        "owned_by": OWNER,
        "stage": found.stage,
        "lifecycle": LIFECYCLE_DEPRECATED if deprecated else LIFECYCLE_ACTIVE,
        "deprecated_at": iso_time(deprecated_us),
        "retires_at": iso_time(found.shutdown_us),
        "shutdown_date": None if found.shutdown_us is None else iso_day(found.shutdown_us),
        "line": None,
        "context_length": found.context_tokens,
        "max_output_tokens": model.output_tokens_max,
        "max_input_tokens": found.context_tokens,
        "max_tokens": model.output_tokens_max or found.context_tokens,
        "modalities": {"input": found.input_modalities, "output": found.output_modalities},
        "pricing": offer_json(found.version, found.data_terms),
        "limits": rate_limits_json(found.limits),
        "capacity": found.capacity,
        "data_policy": {
            "terms": found.data_terms.value,
            "training": found.data_terms is DataTerms.CONTRIBUTOR,
        },
        "features": None
        if found.features is None
        else sorted(feature.value for feature in found.features),
        "capabilities": None if found.features is None else _capabilities(found),
    }


def _capabilities(found: Offer) -> Json:
    """What the list of the one API says, of every capability that it knows."""
    no, yes = {"supported": False}, {"supported": True}
    effort = {"supported": found.can(Feature.REASONING_EFFORT)}
    writes = {"supported": found.writes}
    return {
        "batch": no,
        "citations": no,
        "code_execution": no,
        "context_management": {
            **no,
            "clear_thinking_20251015": no,
            "clear_tool_uses_20250919": no,
            "compact_20260112": no,
        },
        "effort": {
            **effort,
            **dict.fromkeys(("low", "medium", "high", "xhigh", "max"), effort),
        },
        "image_input": {"supported": found.can(Feature.IMAGES)},
        "pdf_input": no,
        "server_tools": {**no, "code_execution": no, "web_search": no},
        "structured_outputs": {"supported": found.can(Feature.JSON_SCHEMA)},
        "thinking": {
            **effort,
            "types": {
                "adaptive": writes,
                "between_tools": no,
                "disabled": yes,
                "enabled": writes,
            },
        },
    }


def _priced(version: PriceVersion, caller: Caller) -> bool:
    return any(tariff.data_terms is caller.data_terms for tariff in version.tariffs)


@dataclass(frozen=True, slots=True)
class _Told:
    """What was said and what was decided of a model."""

    card: Card | None
    standing: Standing | None


def _whole(standings: Sequence[Standing]) -> Standing | None:
    return next((each for each in standings if each.capability == stages.WHOLE_MODEL), None)


def _shut(
    op: Op, tx: Tx, caller: Caller, model: str, standings: Sequence[Standing]
) -> Problem | None:
    """Why this caller may not call the model; ``None`` where it may."""
    door = stages.door_of(standings)
    if door is None or door.stage in stages.OPEN_TO_ALL:
        return None
    if door.stage is Stage.PRIVATE_PREVIEW and cohorts.place(op, tx, model, caller.org_id).invited:
        return None
    return stages.refusal(model, door)


def _offer(
    model: Model, told: _Told, version: PriceVersion, caller: Caller, abilities: Abilities
) -> Offer:
    known = [found for found in map(abilities, model.deployments) if found is not None]
    windows = [found.context_tokens for found in known if found.context_tokens is not None]
    if model.context_tokens is not None:
        windows.append(model.context_tokens)
    features = frozenset(feature for found in known for feature in found.features)
    return Offer(
        model=model,
        card=told.card,
        standing=told.standing,
        version=version,
        data_terms=caller.data_terms,
        limits=_narrower(caller.key_limits, caller.org_limits),
        context_tokens=min(windows, default=None),
        features=features if known else None,
        writes=any(found.writes for found in known) or not known,
    )


def _with_capacity(op: Op, offer: Offer, applied: Applied | None, abilities: Abilities) -> Offer:
    if applied is None:
        return offer
    known = [found for found in map(abilities, offer.model.deployments) if found is not None]
    served = {found.fingerprint for found in known if found.fingerprint is not None}
    return replace(offer, capacity=capacity_json(applied, served, op.now()))


def _narrower(one: CallLimits, other: CallLimits) -> CallLimits:
    return CallLimits(
        _least(one.requests_per_minute, other.requests_per_minute),
        _least(one.tokens_per_minute, other.tokens_per_minute),
        _least(one.parallel_calls, other.parallel_calls),
    )


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _place(names: Sequence[str], name: str, param: str) -> int:
    if name not in names:
        raise Problem(
            Code.INVALID_VALUE, f"{param} is not a model that this key may use.", param=param
        )
    return names.index(name)
