"""How the llama.cpp engine is set up."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LlamacppOptions:
    """``slots`` runs work at once, each with a window of ``context_tokens`` (``0``: what the file
    was trained for, at most 4096). ``step_tokens_max`` bounds one step, and with it how long a
    cancel waits in a long prompt. ``threads`` ``0`` means one less than the cores that may be used.
    ``temperature`` is used where the caller names none. Times are seconds. Penalties look at the
    last 64 tokens, those of the prompt included: that is llama.cpp's own rule.
    """

    gguf_path: str
    slots: int = 4
    context_tokens: int = 0
    step_tokens_max: int = 64
    threads: int = 0
    temperature: float = 1.0
    ready_timeout_s: float = 120.0
    hang_after_s: float = 60.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0

    def __post_init__(self) -> None:
        limits = {
            "slots": (1, 256),
            "context_tokens": (0, 10_000_000),
            "step_tokens_max": (16, 8192),
            "threads": (0, 1024),
            "temperature": (0, 2),
            "ready_timeout_s": (1, 3600),
            "hang_after_s": (1, 3600),
            "backoff_first_s": (0, 3600),
            "backoff_max_s": (0, 3600),
        }
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be between {least} and {most}")
