"""What a scripted engine is told to do."""

from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.core.delta import FinishReason
from tokenbooth.core.features import Feature

SCRIPTED_FEATURES = frozenset(
    {
        Feature.TOOLS,
        Feature.JSON_OBJECT,
        Feature.JSON_SCHEMA,
        Feature.LOGPROBS,
        Feature.TOP_LOGPROBS,
        Feature.STOP,
        Feature.SEED,
        Feature.CHOICES,
        Feature.EMBEDDINGS,
        Feature.RAW_PROMPT,
    }
)


class AnswerKind(StrEnum):
    """WORDS: pseudo-random words; ECHO: the last message of the user; TEXT: ``options.text``;
    SOLVE: the right answer to the few kinds of question that it knows."""

    WORDS = "words"
    ECHO = "echo"
    TEXT = "text"
    SOLVE = "solve"


class Fault(StrEnum):
    """What goes wrong once ``fault_after_chunks`` chunks are out."""

    NONE = "none"
    FAIL = "fail"
    HANG = "hang"


class UsageFault(StrEnum):
    """How the usage of a finished run lies."""

    NONE = "none"
    MISSING = "missing"
    NEGATIVE = "negative"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class ScriptOptions:
    """``chunks`` x ``tokens_per_chunk`` words make an answer of kind WORDS.

    Chunks are counted over all choices together. ``cached_tokens`` (``None``: not told) is reported
    up to the prompt's length. ``reasoning_tokens`` come before the answer. ``call`` names a tool
    that a turn with it and without any result gets called, with the text ``call_arguments``; after
    a result comes the answer. With ``turn_commands``
    a last message that holds ``[script chunks=4 fault=fail]`` changes these options for its turn.
    Of the runs that begin while ``wrong_at_batch`` are under way, or up to an eighth fewer, as
    where an engine pads its batch to that size, ``wrong_percent`` answer WORDS.
    """

    seed: int = 0
    answer: AnswerKind = AnswerKind.WORDS
    text: str = ""
    call: str = ""
    call_arguments: str = "{}"
    chunks: int = 16
    tokens_per_chunk: int = 1
    reasoning_tokens: int = 0
    first_delay_ms: int = 0
    chunk_delay_ms: int = 0
    fault: Fault = Fault.NONE
    fault_after_chunks: int = 0
    usage: UsageFault = UsageFault.NONE
    finish: FinishReason | None = None
    cached_tokens: int | None = None
    context_tokens: int = 8192
    embedding_dimensions: int = 32
    features: frozenset[Feature] = SCRIPTED_FEATURES
    turn_commands: bool = False
    wrong_at_batch: int = 0
    wrong_percent: int = 15

    def __post_init__(self) -> None:
        limits = {
            "chunks": (0, 1_000_000),
            "tokens_per_chunk": (1, 1000),
            "reasoning_tokens": (0, 1_000_000),
            "first_delay_ms": (0, 3_600_000),
            "chunk_delay_ms": (0, 3_600_000),
            "fault_after_chunks": (0, 1_000_000),
            "cached_tokens": (0, 1_000_000_000),
            "context_tokens": (1, 1_000_000_000),
            "embedding_dimensions": (1, 4096),
            "wrong_at_batch": (0, 65_536),
            "wrong_percent": (0, 100),
        }
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(f"{name} must be between {least} and {most}")
        if not self.features <= SCRIPTED_FEATURES:
            extra = ", ".join(sorted(self.features - SCRIPTED_FEATURES))
            raise ValueError(f"features: the scripted engine cannot do {extra}")
