"""JSON-ready documents of accounts, keys, models and prices; amounts are decimal strings."""

from datetime import UTC, datetime

from tokenbooth.access.keys.service import ApiKey
from tokenbooth.access.orgs.service import Org, Project
from tokenbooth.catalog.models.service import Deployment
from tokenbooth.control.accounts import AccountLine, ProjectLine
from tokenbooth.control.keys import KeyLine
from tokenbooth.control.models import ModelLine, ModelTrial
from tokenbooth.control.prices import format_price
from tokenbooth.core.caller import CallLimits
from tokenbooth.money.prices.service import Meter, Price
from tokenbooth.protocols.receipts import CURRENCY, limits_json, tokens_json

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
    return {**org_json(line.org), "limits": limits_json(line.limits)}


def project_json(project: Project) -> Json:
    return {
        "object": "project",
        "id": project.id,
        "organization_id": project.org_id,
        "name": project.name,
        "created_at": iso_time(project.created_us),
    }


def project_line_json(line: ProjectLine) -> Json:
    return {**project_json(line.project), "limits": limits_json(line.limits)}


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
    return {**key_json(line.key), "limits": limits_json(line.limits)}


def rate_limits_json(limits: CallLimits) -> Json:
    return {
        "requests_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "parallel_calls": limits.parallel_calls,
    }


def price_json(price: Price | None) -> Json | None:
    """USD per million, as decimal strings; a meter without its own line costs as input."""
    if price is None:
        return None
    paid, cached, output = price_cells(price)
    return {
        "currency": CURRENCY,
        "per": 1_000_000,
        "input": paid,
        "cached_input": cached,
        "output": output,
        "version": price.version_id,
    }


def price_cells(price: Price | None) -> tuple[str | None, str | None, str | None]:
    """Input, cached input and output in USD per million; ``None`` without a price."""
    if price is None:
        return (None, None, None)
    lines = price.lines
    cached = lines.get(Meter.CACHED_INPUT, lines[Meter.INPUT])
    return (
        format_price(lines[Meter.INPUT]),
        format_price(cached),
        format_price(lines[Meter.OUTPUT]),
    )


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
