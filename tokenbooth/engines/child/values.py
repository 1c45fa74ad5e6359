"""What every engine in a process of its own is set up with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from tokenbooth.engines.child.rules import ChildPolicy

Limits: TypeAlias = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOptions(ChildPolicy):
    """``temperature`` is used where the caller names none. Raises ValueError beyond ``LIMITS``."""

    LIMITS: ClassVar[Limits] = {
        "temperature": (0, 2),
        "ready_timeout_s": (1, 3600),
        "hang_after_s": (1, 3600),
        "backoff_first_s": (0, 3600),
        "backoff_max_s": (0, 3600),
        "stable_after_s": (0, 86_400),
        "load_s": (0, 3600),
    }

    temperature: float = 1.0

    def __post_init__(self) -> None:
        for name, (least, most) in self.LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be between {least} and {most}")
