"""The dialect of Embeddings."""

from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Answer, AnswerFrame, Dialect, Parsed, Writer
from tokenbooth.protocols.openai_embeddings.parse import parse
from tokenbooth.protocols.openai_embeddings.write import VectorWriter
from tokenbooth.protocols.problems import openai_refusal

__all__ = ["OPENAI_EMBEDDINGS", "OpenAiEmbeddings"]


class OpenAiEmbeddings:
    """``POST /v1/embeddings``: a call without output, and in all else a call."""

    name = "openai_embeddings"
    output_limit_param = "input"

    def parse(self, raw: bytes) -> Parsed:
        return parse(raw)

    def param_of(self, feature: Feature) -> str:
        """A model that makes no vectors is the wrong model, and nothing else can be missing."""
        return "model" if feature is Feature.EMBEDDINGS else "input"

    def writer(self, parsed: Parsed, frame: AnswerFrame) -> Writer:
        return VectorWriter(parsed, frame)

    def refusal(self, problem: Problem, request_id: str) -> Answer:
        named = problem.named("input") if problem.param == "messages" else problem
        return openai_refusal(named, request_id)


OPENAI_EMBEDDINGS: Dialect = OpenAiEmbeddings()
