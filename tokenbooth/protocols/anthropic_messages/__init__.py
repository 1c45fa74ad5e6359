"""The Messages dialect."""

from collections.abc import Mapping
from types import MappingProxyType

from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.anthropic_messages.parse import parse
from tokenbooth.protocols.anthropic_messages.write import StreamWriter, WholeWriter
from tokenbooth.protocols.dialect import Answer, AnswerFrame, Dialect, Parsed, Writer
from tokenbooth.protocols.problems import anthropic_refusal

__all__ = ["ANTHROPIC_MESSAGES", "AnthropicMessages"]

# A turn of this dialect never asks for the features that have no field of their own here.
_PARAMS: Mapping[Feature, str] = MappingProxyType(
    {
        **dict.fromkeys(Feature, "messages"),
        Feature.TOOLS: "tools",
        Feature.JSON_OBJECT: "output_config",
        Feature.JSON_SCHEMA: "output_config",
        Feature.STOP: "stop_sequences",
        Feature.REASONING_EFFORT: "output_config.effort",
        Feature.CACHED_TOKENS: "usage",
    }
)


class AnthropicMessages:
    """``POST /v1/messages``."""

    name = "anthropic_messages"
    output_limit_param = "max_tokens"

    def parse(self, raw: bytes) -> Parsed:
        return parse(raw)

    def param_of(self, feature: Feature) -> str:
        return _PARAMS[feature]

    def writer(self, parsed: Parsed, frame: AnswerFrame) -> Writer:
        if parsed.stream:
            return StreamWriter(parsed, frame)
        return WholeWriter(parsed, frame)

    def refusal(self, problem: Problem, request_id: str) -> Answer:
        return anthropic_refusal(problem, request_id)


ANTHROPIC_MESSAGES: Dialect = AnthropicMessages()
