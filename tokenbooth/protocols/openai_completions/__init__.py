"""The dialect of the older text completions."""

from collections.abc import Mapping
from types import MappingProxyType

from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Answer, AnswerFrame, Dialect, Parsed, Writer
from tokenbooth.protocols.openai_completions.parse import parse
from tokenbooth.protocols.openai_completions.write import StreamWriter, WholeWriter
from tokenbooth.protocols.problems import openai_refusal

__all__ = ["OPENAI_COMPLETIONS", "OpenAiCompletions"]

# What this dialect has no word for cannot be asked for in it.
_PARAMS: Mapping[Feature, str] = MappingProxyType(
    {
        **dict.fromkeys(Feature, "prompt"),
        Feature.LOGPROBS: "logprobs",
        Feature.TOP_LOGPROBS: "logprobs",
        Feature.STOP: "stop",
        Feature.SEED: "seed",
        Feature.CHOICES: "n",
        Feature.PENALTIES: "presence_penalty",
        Feature.LOGIT_BIAS: "logit_bias",
        Feature.SUFFIX: "suffix",
    }
)
# The later steps name a field as Chat Completions does.
_NAMES: Mapping[str | None, str] = MappingProxyType(
    {"messages": "prompt", "max_completion_tokens": "max_tokens"}
)


class OpenAiCompletions:
    """``POST /v1/completions``."""

    name = "openai_completions"
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
        named = problem.named(_NAMES.get(problem.param, problem.param))
        return openai_refusal(named, request_id)


OPENAI_COMPLETIONS: Dialect = OpenAiCompletions()
