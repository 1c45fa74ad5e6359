"""What a turn can ask of an engine beyond plain text, and what an engine says it can do."""

from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.core.turn import AudioPart, FormatKind, ImagePart, Turn, VideoPart


class Feature(StrEnum):
    TOOLS = "tools"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"
    LOGPROBS = "logprobs"
    TOP_LOGPROBS = "top_logprobs"
    IMAGES = "images"
    AUDIO = "audio"
    STOP = "stop"
    SEED = "seed"
    CHOICES = "choices"
    PENALTIES = "penalties"
    LOGIT_BIAS = "logit_bias"
    REASONING_EFFORT = "reasoning_effort"
    CACHED_TOKENS = "cached_tokens"
    EMBEDDINGS = "embeddings"
    RAW_PROMPT = "raw_prompt"
    SUFFIX = "suffix"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """``context_tokens`` holds prompt and output together; ``None`` means unknown. ``writes`` is
    False for a model that makes vectors and no text. ``constrains``: schemas are kept while the
    model writes, by a grammar, and not only asked for. ``fingerprint`` is what the engine calls its
    configuration in every answer, where that is known beforehand."""

    features: frozenset[Feature]
    context_tokens: int | None = None
    writes: bool = True
    constrains: bool = False
    fingerprint: str | None = None


_NEEDS = {Feature.IMAGES: (ImagePart, VideoPart), Feature.AUDIO: (AudioPart,)}


def media_param(turn: Turn, feature: Feature) -> str | None:
    """Where in the caller's body stands the first part that needs ``feature``, if any does."""
    kinds = _NEEDS.get(feature, ())
    return next((part.param for part in turn.media if isinstance(part, kinds)), None)


def asked_features(turn: Turn) -> list[Feature]:
    """The features without which this turn cannot be honoured."""
    sampling, kind = turn.sampling, turn.output_format.kind
    calling, media = False, turn.media
    for message in turn.messages:
        calling = calling or bool(message.tool_calls)
    if not (calling or media or turn.tools) and turn.plain:
        return []
    asked = (
        (Feature.TOOLS, calling or turn.tools),
        (Feature.JSON_OBJECT, kind is FormatKind.JSON_OBJECT),
        (Feature.JSON_SCHEMA, kind is FormatKind.JSON_SCHEMA),
        (Feature.LOGPROBS, turn.logprobs is not None),
        (Feature.TOP_LOGPROBS, turn.logprobs is not None and turn.logprobs.top > 0),
        *((feature, media and media_param(turn, feature) is not None) for feature in _NEEDS),
        (Feature.STOP, sampling.stop),
        (Feature.SEED, sampling.seed is not None),
        (Feature.CHOICES, turn.choices > (len(turn.messages) if turn.raw else 1)),
        (Feature.PENALTIES, sampling.presence_penalty or sampling.frequency_penalty),
        (Feature.LOGIT_BIAS, sampling.logit_bias),
        (Feature.REASONING_EFFORT, turn.reasoning_effort is not None and not turn.effort_optional),
        (Feature.EMBEDDINGS, turn.embedding is not None),
        (Feature.RAW_PROMPT, turn.raw and turn.embedding is None),
        (Feature.SUFFIX, turn.suffix is not None),
    )
    return [feature for feature, wanted in asked if wanted]
