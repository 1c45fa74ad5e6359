"""Frozen nouns of spend alerts."""

from dataclasses import dataclass

from tokenbooth.core.receipt import LimitScope

DEFAULT_PERCENTS = (50, 80, 95, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendMove:
    """What one limit had spent before and after a transaction.

    ``window_id`` is empty where the limit never renews.
    """

    scope: LimitScope
    owner_id: str
    window_id: str
    org_id: str
    limit_nano: int | None
    before_nano: int
    after_nano: int

    @property
    def level_id(self) -> str:
        """The limit without its window: ``key:key_1``."""
        return f"{self.scope.value}:{self.owner_id}"

    @property
    def limit_id(self) -> str:
        """``key:key_1``, or ``key:key_1@2026-11`` for one window."""
        return f"{self.level_id}@{self.window_id}" if self.window_id else self.level_id


@dataclass(frozen=True, slots=True)
class CountedFrom:
    """Where counting began for a balance: it had spent ``spent_nano`` when credit made its limit
    ``limit_nano``."""

    limit_nano: int
    spent_nano: int
