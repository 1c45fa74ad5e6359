"""The Chat Completions dialect."""

from collections.abc import Mapping
from types import MappingProxyType

from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Answer, AnswerFrame, Dialect, Parsed, Writer
from tokenbooth.protocols.openai_chat.parse import parse
from tokenbooth.protocols.openai_chat.write import StreamWriter, WholeWriter
from tokenbooth.protocols.problems import openai_refusal

__all__ = ["OPENAI_CHAT", "OpenAiChat"]

_PARAMS: Mapping[Feature, str] = MappingProxyType(
    {
        Feature.TOOLS: "tools",
        Feature.JSON_OBJECT: "response_format",
        Feature.JSON_SCHEMA: "response_format",
        Feature.LOGPROBS: "logprobs",
        Feature.TOP_LOGPROBS: "top_logprobs",
        Feature.IMAGES: "messages",
        Feature.AUDIO: "messages",
        Feature.STOP: "stop",
        Feature.SEED: "seed",
        Feature.CHOICES: "n",
        Feature.PENALTIES: "presence_penalty",
        Feature.LOGIT_BIAS: "logit_bias",
        Feature.REASONING_EFFORT: "reasoning_effort",
        Feature.CACHED_TOKENS: "usage",
        Feature.RAW_PROMPT: "messages",
        Feature.SUFFIX: "suffix",
        Feature.EMBEDDINGS: "input",
    }
)


class OpenAiChat:
    """``POST /v1/chat/completions``."""

    name = "openai_chat"
    output_limit_param = "max_completion_tokens"

    def parse(self, raw: bytes) -> Parsed:
        return parse(raw)

    def param_of(self, feature: Feature) -> str:
        return _PARAMS[feature]

    def writer(self, parsed: Parsed, frame: AnswerFrame) -> Writer:
        if parsed.stream:
            return StreamWriter(parsed, frame)
        return WholeWriter(parsed, frame)

    def refusal(self, problem: Problem, request_id: str) -> Answer:
        return openai_refusal(problem, request_id)


OPENAI_CHAT: Dialect = OpenAiChat()
