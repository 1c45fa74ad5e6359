"""How the embedded engine is set up."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    """``step_tokens_max`` bounds one engine step, and with it how long a cancel waits in a long
    prompt. ``cache_gib`` bounds the memory of the prefix and attention cache. ``temperature`` is
    used where the caller names none. Times are seconds.
    """

    gguf_path: str
    step_tokens_max: int = 256
    cache_gib: int = 1
    prefix_cache: bool = True
    temperature: float = 1.0
    device: str = "CPU"
    ready_timeout_s: float = 120.0
    hang_after_s: float = 30.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0

    def __post_init__(self) -> None:
        limits = {
            "step_tokens_max": (16, 65536),
            "cache_gib": (1, 1024),
            "temperature": (0, 2),
            "ready_timeout_s": (1, 3600),
            "hang_after_s": (1, 3600),
            "backoff_first_s": (0, 3600),
            "backoff_max_s": (0, 3600),
        }
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be between {least} and {most}")
