"""What a caller asks a model to do, free of any wire format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from tokenbooth.core.noun import named_noun, noun
from tokenbooth.core.terms import ServiceTier


class Role(StrEnum):
    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@noun
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class MediaPart:
    """What is not text. ``url`` is ``http:``, ``https:``, ``data:`` or, with the id of a file that
    was uploaded, ``file:``; when an engine gets it always ``data:`` with the type of its bytes.
    ``param`` is its place in the caller's body."""

    url: str
    param: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ImagePart(MediaPart):
    """``width`` and ``height`` are pixels, 0 until the image was looked at."""

    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class AudioPart(MediaPart):
    """``duration_s`` is whole seconds, a begun one counted, 0 until the sound was looked at."""

    duration_s: int = 0


@dataclass(frozen=True, slots=True)
class VideoPart(MediaPart):
    """Becomes frames before an engine gets it."""


@dataclass(frozen=True, slots=True)
class DocumentPart(MediaPart):
    """A PDF or a text; becomes texts and images of its pages before an engine gets it."""


Part: TypeAlias = TextPart | MediaPart


@noun
class ToolCall:
    """A finished tool call; ``arguments`` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@noun
class Message:
    """``reasoning`` is what an assistant thought before it spoke; engines may ignore it."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: str = ""

    @property
    def text(self) -> str:
        parts = self.parts
        if len(parts) == 1 and isinstance(parts[0], TextPart):
            return parts[0].text
        return "".join([part.text for part in parts if isinstance(part, TextPart)])


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; ``schema_json`` is the parameters' JSON schema as text."""

    name: str
    description: str
    schema_json: str
    strict: bool = False


class ToolMode(StrEnum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


@noun
class ToolChoice:
    """``name`` is set exactly when ``mode`` is NAMED."""

    mode: ToolMode = ToolMode.AUTO
    name: str | None = None


class FormatKind(StrEnum):
    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


@noun
class OutputFormat:
    """``schema_json`` and ``name`` are set exactly when ``kind`` is JSON_SCHEMA."""

    kind: FormatKind = FormatKind.TEXT
    name: str | None = None
    schema_json: str | None = None
    strict: bool = False


@noun
class Sampling:
    """``None`` leaves the engine's own default."""

    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logit_bias: tuple[tuple[int, float], ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it says nothing that some engine does not know."""
        return self.seed is None and not (
            self.stop or self.logit_bias or self.presence_penalty or self.frequency_penalty
        )


@noun
class LogprobsAsk:
    """Log probabilities of chosen tokens, and of ``top`` alternatives (0..20) at each place."""

    top: int = 0


@dataclass(frozen=True, slots=True)
class EmbeddingAsk:
    """How many numbers a vector shall have; ``None`` leaves it to the model."""

    dimensions: int | None = None


@named_noun
class Turn:
    """One question to a model.

    ``output_tokens_max`` is the caller's limit for each choice, lowered by the gateway to what the
    context window and the money allow before an engine sees it; ``None`` means unstated.
    ``hints`` are accepted fields that engines may use and may ignore (``metadata``, ``verbosity``);
    ``effort_optional`` says the same of ``reasoning_effort``, for dialects whose clients send one
    to every model. ``raw``: each message is a prompt as it stands, without a chat template; the
    ``choices`` are then those of all prompts together, and ``suffix`` is what follows the answer.
    With ``embedding`` each raw prompt becomes a vector, and no text is written.
    """

    model: str
    messages: tuple[Message, ...]
    output_tokens_max: int | None = None
    sampling: Sampling = Sampling()
    choices: int = 1
    logprobs: LogprobsAsk | None = None
    output_format: OutputFormat = OutputFormat()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    effort_optional: bool = False
    end_customer: str | None = None
    service_tier: ServiceTier = ServiceTier.STANDARD
    hints: Mapping[str, str] = field(default_factory=dict)
    raw: bool = False
    suffix: str | None = None
    embedding: EmbeddingAsk | None = None

    @property
    def plain(self) -> bool:
        """Whether it asks for one text and nothing beyond, whatever its messages and tools are."""
        return (
            self.choices == 1
            and not self.raw
            and self.suffix is None
            and self.embedding is None
            and self.logprobs is None
            and self.reasoning_effort is None
            and self.output_format.kind is FormatKind.TEXT
            and self.sampling.plain
        )

    @property
    def media(self) -> tuple[MediaPart, ...]:
        """What the messages hold besides text, in order."""
        messages = self.messages
        found = [part for m in messages for part in m.parts if isinstance(part, MediaPart)]
        return tuple(found)
