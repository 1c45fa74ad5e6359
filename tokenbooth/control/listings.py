"""What is on offer, in the words of two public lists of models.

Both want prices as numbers of US dollars: one for a million tokens, the other for one, as texts.
A price in another currency is left out.
"""

from collections.abc import Sequence
from decimal import Decimal

from tokenbooth.catalog.models.service import EngineKind
from tokenbooth.control.documents import Json, iso_day
from tokenbooth.control.offers import OWNER, US_PER_S, Offer
from tokenbooth.control.prices import format_price
from tokenbooth.core.features import Feature
from tokenbooth.core.terms import ServiceTier
from tokenbooth.launch.stages.service import Stage
from tokenbooth.money.prices.service import DEFAULT_CURRENCY, Lines, Meter, effective_pico

TITLE = "Tokenbooth"
DECIMALS_PER_TOKEN = 12
SAMPLING = {
    "stop": Feature.STOP,
    "seed": Feature.SEED,
    "frequency_penalty": Feature.PENALTIES,
    "presence_penalty": Feature.PENALTIES,
    "logit_bias": Feature.LOGIT_BIAS,
    "logprobs": Feature.LOGPROBS,
    "top_logprobs": Feature.TOP_LOGPROBS,
}
FEATURES = {
    "tools": Feature.TOOLS,
    "json_mode": Feature.JSON_OBJECT,
    "structured_outputs": Feature.JSON_SCHEMA,
    "reasoning": Feature.REASONING_EFFORT,
    "logprobs": Feature.LOGPROBS,
}


def models_dev(found: Sequence[Offer], base_url: str | None) -> Json:
    """A map of one provider, as models.dev publishes it; amounts are exact decimals.

    ``base_url`` is where the caller reached us, ``None`` where that is not known.
    """
    provider: Json = {
        "id": OWNER,
        "name": TITLE,
        "env": ["TOKENBOOTH_API_KEY"],
        "npm": "@ai-sdk/openai-compatible",
        "models": {each.model.name: _models_dev(each) for each in found},
    }
    if base_url is not None:
        provider["api"] = base_url
        provider["doc"] = f"{base_url.removesuffix('/v1')}/openapi.json"
    return {OWNER: provider}


def openrouter(found: Sequence[Offer]) -> Json:
    """The flat list that OpenRouter reads from a provider."""
    return {"data": [_openrouter(each) for each in found]}


def _models_dev(found: Offer) -> Json:
    model, lines = found.model, _lines(found)
    day = iso_day(model.created_us)
    row: Json = {
        "id": model.name,
        "name": found.display_name,
        "attachment": found.can(Feature.IMAGES),
        "reasoning": found.can(Feature.REASONING_EFFORT),
        "tool_call": found.can(Feature.TOOLS),
        "structured_output": found.can(Feature.JSON_SCHEMA),
        "temperature": found.writes,
        "open_weights": any(
            each.engine in (EngineKind.EMBEDDED, EngineKind.LLAMACPP, EngineKind.STATIC)
            for each in model.deployments
        ),
        "release_date": day,
        "last_updated": day,
        "modalities": {
            "input": found.input_modalities,
            "output": ["text"],
        },
        "limit": {
            "context": found.context_tokens or 0,
            "output": model.output_tokens_max or found.context_tokens or 0,
        },
    }
    if lines is not None:
        named = {"input": Meter.INPUT, "output": Meter.OUTPUT, "cache_read": Meter.CACHED_INPUT}
        named["cache_write"], named["reasoning"] = Meter.CACHE_WRITE, Meter.REASONING
        row["cost"] = {
            name: Decimal(format_price(effective_pico(lines, meter)))
            for name, meter in named.items()
            if meter in lines or meter is Meter.CACHED_INPUT
        }
    if found.stage == Stage.DEPRECATED:
        row["status"] = "deprecated"
    elif found.stage in (Stage.PRIVATE_PREVIEW, Stage.PUBLIC_PREVIEW):
        row["status"] = "beta"
    return row


def _openrouter(found: Offer) -> Json:
    model, lines = found.model, _lines(found)
    row: Json = {
        "id": model.name,
        "hugging_face_id": "",
        "name": found.display_name,
        "created": model.created_us // US_PER_S,
        "input_modalities": found.input_modalities,
        "output_modalities": found.output_modalities,
        "quantization": None,
        "context_length": found.context_tokens,
        "max_output_length": model.output_tokens_max or found.context_tokens,
        "pricing": None if lines is None else _per_unit(lines),
        "supported_sampling_parameters": [
            "temperature",
            "top_p",
            "max_tokens",
            *(name for name, feature in SAMPLING.items() if found.can(feature)),
        ],
        "supported_features": [name for name, feature in FEATURES.items() if found.can(feature)],
        "is_ready": found.features is not None,
        "datacenters": [],
    }
    if found.shutdown_us is not None:
        row["deprecation_date"] = iso_day(found.shutdown_us)
    return row


def _per_unit(lines: Lines) -> Json:
    named = {
        "prompt": Meter.INPUT,
        "completion": Meter.OUTPUT,
        "image": Meter.IMAGE,
        "request": Meter.CALL,
        "input_cache_read": Meter.CACHED_INPUT,
    }
    return {name: _decimal(effective_pico(lines, meter)) for name, meter in named.items()}


def _decimal(pico: int) -> str:
    """Pico-units of a dollar as dollars, without idle zeros: ``1_250_000`` is ``0.00000125``."""
    whole, fraction = divmod(pico, 10**DECIMALS_PER_TOKEN)
    digits = f"{fraction:0{DECIMALS_PER_TOKEN}d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _lines(found: Offer) -> Lines | None:
    """What the standard tier costs this caller, in US dollars."""
    if found.version.currency != DEFAULT_CURRENCY:
        return None
    for tariff in found.version.tariffs:
        if (tariff.tier, tariff.data_terms) == (ServiceTier.STANDARD, found.data_terms):
            return tariff.steps[0].lines
    return None
