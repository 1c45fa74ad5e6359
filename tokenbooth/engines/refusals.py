"""Refusals that every engine words alike."""

from tokenbooth.core.codes import Code
from tokenbooth.core.features import Capabilities, asked_features
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn


def unsupported(turn: Turn, capabilities: Capabilities) -> Problem | None:
    """The first feature that the turn asks for and the engine lacks; ``param`` is its name."""
    for feature in asked_features(turn):
        if feature not in capabilities.features:
            return Problem(
                Code.UNSUPPORTED_FEATURE,
                f"This model's engine does not support {feature.value}.",
                param=feature.value,
            )
    return None


def too_long(input_tokens: int, context_tokens: int | None) -> Problem | None:
    """A prompt that leaves no room for one output token in the context window."""
    if context_tokens is None or input_tokens < context_tokens:
        return None
    return Problem(
        Code.CONTEXT_LENGTH_EXCEEDED,
        f"The prompt has {input_tokens} tokens; the model's context window holds {context_tokens}"
        " tokens, prompt and output together.",
        param="messages",
        facts={"input_tokens": input_tokens, "context_tokens": context_tokens},
    )


def dimensions_of(asked: int | None, most: int) -> int:
    """How many numbers a vector gets. Raises INVALID_VALUE for more than the model makes."""
    if asked is not None and asked > most:
        raise Problem(
            Code.INVALID_VALUE,
            f"dimensions is {asked}; this model's vectors have at most {most}.",
            param="dimensions",
        )
    return most if asked is None else asked


def closed() -> Problem:
    """A turn that ran while its engine was closed."""
    return Problem(Code.ENGINE_FAILED, "The engine was stopped while it worked on the call.")


def not_open() -> Problem:
    """A turn for an engine that is not open, or no longer."""
    return Problem(Code.ENGINE_NOT_READY, "The engine is not running.", retry_after_s=1)
