"""How the llama.cpp engine is set up."""

from dataclasses import dataclass, field
from typing import ClassVar

from tokenbooth.engines.child.values import ChildOptions, Limits


@dataclass(frozen=True, slots=True)
class LlamacppOptions(ChildOptions):
    """``slots`` runs work at once, each with a window of ``context_tokens`` (``0``: what the file
    was trained for, at most 4096). ``step_tokens_max`` bounds one step, and with it how long a
    cancel waits in a long prompt. ``threads`` ``0`` means one less than the cores that may be used.
    ``mmproj_path`` is a second GGUF, the part of the model that sees images.
    Penalties look at the last 64 tokens, those of the prompt included: that is llama.cpp's own
    rule.
    """

    LIMITS: ClassVar[Limits] = {
        **ChildOptions.LIMITS,
        "slots": (1, 256),
        "context_tokens": (0, 10_000_000),
        "step_tokens_max": (16, 8192),
        "threads": (0, 1024),
    }

    gguf_path: str
    slots: int = 4
    context_tokens: int = 0
    step_tokens_max: int = 64
    threads: int = 0
    mmproj_path: str = ""
    hang_after_s: float = field(default=60.0, kw_only=True)
