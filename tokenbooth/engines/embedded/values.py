"""How the embedded engine is set up."""

from dataclasses import dataclass
from typing import ClassVar

from tokenbooth.engines.child.values import ChildOptions, Limits


@dataclass(frozen=True, slots=True)
class EmbeddedOptions(ChildOptions):
    """``step_tokens_max`` bounds one engine step, and with it how long a cancel waits in a long
    prompt. ``cache_gib`` bounds the memory of the prefix and attention cache.
    """

    LIMITS: ClassVar[Limits] = {
        **ChildOptions.LIMITS,
        "step_tokens_max": (16, 65536),
        "cache_gib": (1, 1024),
    }

    gguf_path: str
    step_tokens_max: int = 256
    cache_gib: int = 1
    prefix_cache: bool = True
    device: str = "CPU"
