"""What an engine sends back while it works, free of any wire format."""

from enum import StrEnum

from tokenbooth.core.noun import noun


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


class UsageSource(StrEnum):
    """Who counted: the engine itself, or our documented upper bound because the engine did not."""

    ENGINE = "engine"
    BOUND = "bound"


@noun
class Usage:
    """What one call used, all choices together; every count is >= 0.

    ``input_tokens`` contains ``cached_input_tokens`` (read from a prefix cache) and
    ``cache_write_tokens`` (written to one); ``output_tokens`` contains ``reasoning_tokens``.
    ``cached_input_tokens`` is ``None`` where the engine does not tell, and is then charged as zero
    cached tokens. ``audio_s`` and ``video_s`` are whole seconds; a second that has begun counts.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int | None = None
    reasoning_tokens: int = 0
    source: UsageSource = UsageSource.ENGINE
    cache_write_tokens: int = 0
    images: int = 0
    audio_s: int = 0
    video_s: int = 0
    searches: int = 0

    @property
    def counts(self) -> tuple[int, ...]:
        """Every count, an untold one as zero."""
        return (
            self.input_tokens,
            self.output_tokens,
            self.cached_input_tokens or 0,
            self.reasoning_tokens,
            self.cache_write_tokens,
            self.images,
            self.audio_s,
            self.video_s,
            self.searches,
        )


@noun
class TokenLogprob:
    """``text`` is the token's text; ``alternatives`` are (text, logprob) pairs, likeliest first."""

    text: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...] = ()


@noun
class ToolCallDelta:
    """A piece of tool call ``index``; ``id`` and ``name`` stand in its first piece only."""

    index: int
    arguments: str = ""
    id: str | None = None
    name: str | None = None


@noun
class Delta:
    """One step of output of one choice.

    ``output_tokens`` is how many output tokens this step stands for (0 when the engine does not
    say): the sum of delivered deltas is what an interrupted call is charged for. ``finish`` is set
    on a choice's last delta, and ``stopped_by`` with it where the engine tells which stop string
    ended the choice. ``raw`` may carry the upstream's own event bytes. ``vectors`` are the answer
    to an embedding turn, all of them, one for each of its texts.
    """

    choice: int = 0
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_call: ToolCallDelta | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    output_tokens: int = 0
    finish: FinishReason | None = None
    raw: bytes | None = None
    stopped_by: str | None = None
    vectors: tuple[tuple[float, ...], ...] = ()


@noun
class RunEnd:
    """How a run ended well, or by ``cancel()``; ``usage`` is ``None`` when the engine sent none."""

    usage: Usage | None
    cancelled: bool = False
    fingerprint: str | None = None
