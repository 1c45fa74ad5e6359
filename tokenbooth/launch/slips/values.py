"""Promises: when a stage was said to be reached, each time that it was said."""

from dataclasses import dataclass

from tokenbooth.launch.stages.values import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """``early_us`` and ``late_us`` are the forecast that stood then, ``None`` where unknown."""

    model: str
    stage: Stage
    promised_us: int
    early_us: int | None
    late_us: int | None
    reason: str
    said_us: int
    author: str
