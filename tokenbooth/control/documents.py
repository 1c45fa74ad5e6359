"""JSON-ready documents of accounts, keys, models and prices; amounts are decimal strings."""

from collections.abc import Mapping
from datetime import UTC, datetime

from tokenbooth.access.keys.service import ApiKey
from tokenbooth.access.orgs.service import Org, Project
from tokenbooth.catalog.cards.service import Card
from tokenbooth.catalog.models.service import Deployment
from tokenbooth.control.accounts import AccountLine, ProjectLine
from tokenbooth.control.keys import KeyLine
from tokenbooth.control.models import ModelLine, ModelTrial
from tokenbooth.control.prices import format_price
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.money import MICRO_PER_UNIT
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices.service import (
    Meter,
    Price,
    PriceVersion,
    effective_pico,
    price_in,
)
from tokenbooth.protocols.receipts import limits_json, tokens_json

US_PER_S = 1_000_000

Json = dict[str, object]


def org_json(org: Org) -> Json:
    return {
        "object": "organization",
        "id": org.id,
        "name": org.name,
        "created_at": iso_time(org.created_us),
        "rate_limits": rate_limits_json(org.limits),
    }


def account_json(line: AccountLine) -> Json:
    return {
        **org_json(line.org),
        "price_book": line.book.name,
        "currency": line.book.currency,
        "limits": limits_json(line.limits, line.book.currency),
    }


def project_json(project: Project) -> Json:
    return {
        "object": "project",
        "id": project.id,
        "organization_id": project.org_id,
        "name": project.name,
        "data_terms": project.data_terms.value,
        "created_at": iso_time(project.created_us),
    }


def project_line_json(line: ProjectLine) -> Json:
    return {
        **project_json(line.project),
        "answers_kept": line.answers_kept,
        "limits": limits_json(line.limits, line.currency),
    }


def key_json(key: ApiKey) -> Json:
    """Without the secret; ``hint`` shows enough of it to tell keys apart."""
    return {
        "object": "api_key",
        "id": key.id,
        "organization_id": key.org_id,
        "project_id": key.project_id,
        "name": key.name,
        "hint": f"{key.prefix}…{key.last_four}",
        "scopes": sorted(scope.value for scope in key.scopes),
        "models": None if key.models is None else sorted(key.models),
        "rate_limits": rate_limits_json(key.limits),
        "created_at": iso_time(key.created_us),
        "expires_at": iso_time(key.expires_us),
        "revoked_at": iso_time(key.revoked_us),
    }


def key_line_json(line: KeyLine) -> Json:
    return {**key_json(line.key), "limits": limits_json(line.limits, line.currency)}


def rate_limits_json(limits: CallLimits) -> Json:
    return {
        "requests_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "parallel_calls": limits.parallel_calls,
    }


def price_json(price: Price | None) -> Json | None:
    """For a million units each, as decimal strings; cached input without a line costs as input.

    Other meters stand in it where they have a line of their own.
    """
    if price is None:
        return None
    steps = [
        {"context_min_tokens": step.context_min_tokens, **lines_json(step.lines)}
        for step in price.steps
    ]
    return {
        "currency": price.currency,
        "per": MICRO_PER_UNIT,
        **lines_json(price.lines),
        **({"context_steps": steps} if steps else {}),
        "version": price.version_id,
    }


def lines_json(lines: Mapping[Meter, int]) -> Json:
    """Decimal strings by meter, cached input always among them."""
    shown = {meter: effective_pico(lines, meter) for meter in (*lines, Meter.CACHED_INPUT)}
    return {meter.value: format_price(shown[meter]) for meter in Meter if meter in shown}


def offer_json(version: PriceVersion, data_terms: DataTerms) -> Json | None:
    """What a model costs under these data terms, tier by tier; ``None`` where it has no price.

    The standard tier's prices stand outside too.
    """
    prices = {
        each.tier: price_json(price_in(version, each.tier, data_terms))
        for each in version.tariffs
        if each.data_terms is data_terms
    }
    if not prices:
        return None
    return {
        **(prices.get(ServiceTier.STANDARD) or {}),
        "currency": version.currency,
        "per": MICRO_PER_UNIT,
        "data_terms": data_terms.value,
        "version": version.id,
        "tiers": {tier.value: price for tier, price in prices.items()},
    }


def price_cells(price: Price | None) -> tuple[str | None, str | None, str | None]:
    """Input, cached input and output for a million each; ``None`` without a price."""
    if price is None:
        return (None, None, None)
    meters = (Meter.INPUT, Meter.CACHED_INPUT, Meter.OUTPUT)
    paid, cached, output = (format_price(effective_pico(price.lines, m)) for m in meters)
    return (paid, cached, output)


def model_json(line: ModelLine) -> Json:
    """The operator's view; an upstream key is only said to exist."""
    model = line.model
    return {
        "object": "model",
        "id": model.name,
        "created_at": iso_time(model.created_us),
        "context_length": model.context_tokens,
        "max_output_tokens": model.output_tokens_max,
        "pricing": price_json(line.price),
        "deployments": [deployment_json(each) for each in model.deployments],
    }


def card_json(card: Card) -> Json:
    return {
        "object": "model_card",
        "model": card.model,
        "display_name": card.display_name,
        "stage": None if card.stage is None else card.stage.value,
        "shutdown_date": None if card.shutdown_us is None else iso_day(card.shutdown_us),
        "said_at": iso_time(card.effective_us),
        "said_by": card.author,
    }


def deployment_json(deployment: Deployment) -> Json:
    return {
        "id": deployment.id,
        "engine": deployment.engine.value,
        "gguf": deployment.gguf_path,
        "upstream": deployment.upstream_url,
        "upstream_model": deployment.upstream_model,
        "upstream_key": "sealed" if deployment.upstream_key_sealed else None,
        "concurrency_max": deployment.concurrency_max,
        "queue_max": deployment.queue_max,
        "queue_wait_max_s": deployment.queue_wait_max_s,
        "options": dict(deployment.options),
    }


def trial_json(name: str, trial: ModelTrial) -> Json:
    return {
        "object": "model_trial",
        "model": name,
        "text": trial.text,
        "usage": None if trial.usage is None else tokens_json(trial.usage),
        "input_tokens_counted": trial.input_tokens_counted,
        "first_output_ms": _ms(trial.first_output_us),
        "duration_ms": _ms(trial.duration_us),
    }


def iso_time(time_us: int | None) -> str | None:
    """UTC with whole seconds, such as ``2026-01-31T08:00:00Z``."""
    if time_us is None:
        return None
    moment = datetime.fromtimestamp(time_us // US_PER_S, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_day(time_us: int) -> str:
    """The UTC day, such as ``2026-01-31``."""
    return f"{datetime.fromtimestamp(time_us // US_PER_S, UTC):%Y-%m-%d}"


def iso_moment(time_us: int | None) -> str | None:
    """UTC with microseconds, such as ``2026-01-31T08:00:00.000250Z``."""
    if time_us is None:
        return None
    seconds, micros = divmod(time_us, US_PER_S)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def _ms(span_us: int | None) -> int | None:
    return None if span_us is None else span_us // 1000


def key_state(key: ApiKey) -> str:
    """``revoked``, ``until <time>`` or ``live``."""
    if key.revoked_us is not None:
        return "revoked"
    return "live" if key.expires_us is None else f"until {iso_time(key.expires_us)}"
