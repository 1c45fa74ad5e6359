"""The Responses dialect."""

from collections.abc import Mapping
from types import MappingProxyType

from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Answer, AnswerFrame, Dialect, Parsed, Writer
from tokenbooth.protocols.openai_responses.parse import parse
from tokenbooth.protocols.openai_responses.renamed import renamed
from tokenbooth.protocols.openai_responses.write import StreamWriter, WholeWriter
from tokenbooth.protocols.problems import openai_refusal

__all__ = ["OPENAI_RESPONSES", "OpenAiResponses"]

# What this dialect has no word for cannot be asked for in it.
_PARAMS: Mapping[Feature, str] = MappingProxyType(
    {
        Feature.TOOLS: "tools",
        Feature.JSON_OBJECT: "text.format",
        Feature.JSON_SCHEMA: "text.format",
        Feature.LOGPROBS: "include",
        Feature.TOP_LOGPROBS: "top_logprobs",
        Feature.IMAGES: "input",
        Feature.AUDIO: "input",
        Feature.STOP: "stop",
        Feature.SEED: "seed",
        Feature.CHOICES: "n",
        Feature.PENALTIES: "presence_penalty",
        Feature.LOGIT_BIAS: "logit_bias",
        Feature.REASONING_EFFORT: "reasoning.effort",
        Feature.CACHED_TOKENS: "usage",
        Feature.RAW_PROMPT: "input",
        Feature.SUFFIX: "suffix",
        Feature.EMBEDDINGS: "input",
    }
)


class OpenAiResponses:
    """``POST /v1/responses``; what is kept of it is composed by the gateway."""

    name = "openai_responses"
    output_limit_param = "max_output_tokens"

    def parse(self, raw: bytes) -> Parsed:
        return parse(raw)

    def param_of(self, feature: Feature) -> str:
        return _PARAMS[feature]

    def writer(self, parsed: Parsed, frame: AnswerFrame) -> Writer:
        if parsed.stream:
            return StreamWriter(parsed, frame)
        return WholeWriter(parsed, frame)

    def refusal(self, problem: Problem, request_id: str) -> Answer:
        return openai_refusal(renamed(problem), request_id)


OPENAI_RESPONSES: Dialect = OpenAiResponses()
