"""One limit as one gateway process sees it: what it may spend there, and what it knows of it."""

from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.receipt import LimitState, LimitWindow
from tokenbooth.money.leases.values import LeaseLine, LevelKey, PoolOptions
from tokenbooth.money.windows import window_named

US_PER_S = 1_000_000
LOW_S = 2
PACE_AFTER_US = 100_000

Levels = tuple["Level", ...]


class Level:
    """``granted_nano`` is leased, ``held_nano`` of it in running calls, ``free_nano`` is the rest.

    ``unbooked_nano`` was spent here and is not in the ledger yet. ``rate_nano`` is what calls took
    in the last whole second that was looked at. ``calls`` run with a hold here. Nothing is taken in
    advance before ``quiet_until_us``. ``shown`` is the newest ``state``, until something changes.
    """

    __slots__ = (
        "calls",
        "ends_us",
        "free_nano",
        "granted_nano",
        "held_nano",
        "key",
        "limit_id",
        "limit_nano",
        "others_held_nano",
        "others_leased_nano",
        "quiet_until_us",
        "rate_nano",
        "rated_us",
        "shown",
        "spent_nano",
        "taken_nano",
        "told_held_nano",
        "unbooked_nano",
        "used_us",
        "window",
    )

    def __init__(self, limit_id: str, key: LevelKey) -> None:
        self.limit_id = limit_id
        self.key = key
        self.calls = 0
        self.granted_nano = 0
        self.held_nano = 0
        self.free_nano = 0
        self.unbooked_nano = 0
        self.told_held_nano = 0
        self.taken_nano = 0
        self.rate_nano = 0
        self.rated_us = 0
        self.used_us = 0
        self.quiet_until_us = 0
        self.ends_us: int | None = None
        self.window: LimitWindow | None = None
        self.limit_nano: int | None = None
        self.spent_nano = 0
        self.others_held_nano = 0
        self.others_leased_nano = 0
        self.shown: LimitState | None = None

    @property
    def named_key(self) -> LevelKey:
        """The key that asks for this very window."""
        window_id = self.limit_id.partition("@")[2]
        return LevelKey(self.key.scope, self.key.owner_id, window_id)

    def give_back(self) -> int:
        """Take all free money out of memory, so that it can be returned."""
        returned_nano = self.free_nano
        self.free_nano = 0
        self.granted_nano -= returned_nano
        return returned_nano

    def take_back(self, amount_nano: int) -> None:
        """Undo ``give_back``: the ledger never heard of it."""
        self.free_nano += amount_nano
        self.granted_nano += amount_nano

    def idle(self, now_us: int, options: PoolOptions) -> bool:
        """Whether free money lies here unused, or its window is over."""
        if self.free_nano == 0:
            return False
        return self.over(now_us) or self.rests(now_us, options)

    def rests(self, now_us: int, options: PoolOptions) -> bool:
        """Whether no call has taken or settled anything here for a while."""
        return now_us - self.used_us >= options.idle_us

    def over(self, now_us: int) -> bool:
        """Whether the window has ended."""
        return self.ends_us is not None and self.ends_us <= now_us

    def take_no_advance(self, now_us: int) -> None:
        """For a while: others look for what is here, or there was nothing to take."""
        self.quiet_until_us = now_us + US_PER_S

    def running_low(self, now_us: int) -> bool:
        """Whether the free money would last for less than two more seconds like the last one."""
        quiet = self.over(now_us) or now_us < self.quiet_until_us
        return not quiet and self.free_nano < LOW_S * self.pace_nano(now_us)

    def pace_nano(self, now_us: int) -> int:
        """What calls take in a second: by the last whole one, or by what is over of this one where
        that is more."""
        over_us = max(now_us - self.rated_us, PACE_AFTER_US)
        return max(self.rate_nano, self.taken_nano * US_PER_S // over_us)

    def unused(self) -> bool:
        """Whether nothing is leased, held, or still to be told here, and no call comes back."""
        nothing = self.granted_nano == 0 and self.unbooked_nano == 0 and self.told_held_nano == 0
        return nothing and self.calls == 0

    def renew(
        self,
        line: LeaseLine,
        booked_nano: int,
        told_held_nano: int | None,
        asked_us: int,
    ) -> None:
        """Take in what the ledger says after a round that was asked for at ``asked_us`` and booked
        ``booked_nano`` here. A window ends a little early here, never late."""
        self.unbooked_nano -= booked_nano
        self.granted_nano = line.granted_nano - self.unbooked_nano
        self.free_nano = self.granted_nano - self.held_nano
        assert self.free_nano >= 0, f"{self.limit_id}: more is held than was leased"
        if told_held_nano is not None:
            self.told_held_nano = told_held_nano
        row = line.row
        self.limit_nano = row.limit_nano
        self.spent_nano = row.spent_nano
        self.others_held_nano = max(0, row.held_nano - self.told_held_nano)
        self.others_leased_nano = max(0, row.leased_nano - line.granted_nano)
        if asked_us - self.rated_us >= US_PER_S:
            self.rate_nano = self.taken_nano * US_PER_S // (asked_us - self.rated_us)
            self.taken_nano, self.rated_us = 0, asked_us
        if line.left_us is not None:
            self.ends_us = asked_us + line.left_us
            self.window = window_named(row.period, row.window_id)
        self.shown = None

    def state(self) -> LimitState:
        """The limit with everything in it that happened here; ``shown`` as long as nothing does."""
        self.shown = LimitState(
            self.key.scope,
            self.key.owner_id,
            self.limit_nano,
            self.spent_nano + self.unbooked_nano,
            self.others_held_nano + self.held_nano,
            self.window,
        )
        return self.shown

    @property
    def left_nano(self) -> int:
        """What could be held here now, or leased at once; what others have leased is not there."""
        if self.limit_nano is None:
            return NANO_MAX
        taken_nano = self.spent_nano + self.unbooked_nano + self.others_leased_nano + self.held_nano
        return self.limit_nano - taken_nano

    def refusing_state(self) -> LimitState:
        """The limit when it refuses: what other replicas still keep counts as held."""
        return LimitState(
            self.key.scope,
            self.key.owner_id,
            self.limit_nano,
            self.spent_nano + self.unbooked_nano,
            self.others_leased_nano + self.held_nano,
            self.window,
        )


def take(levels: Levels, amount_nano: int, now_us: int) -> None:
    """Move free money into a hold, at each level."""
    for level in levels:
        level.free_nano -= amount_nano
        level.held_nano += amount_nano
        level.taken_nano += amount_nano
        level.used_us = now_us
        level.shown = None


def begin(levels: Levels, amount_nano: int, now_us: int) -> None:
    """The same for a call that begins."""
    take(levels, amount_nano, now_us)
    for level in levels:
        level.calls += 1


def uncharge(levels: Levels, cost_nano: int) -> None:
    """Free what a call had spent that is not charged after all; nobody was told of it."""
    for level in levels:
        level.free_nano += cost_nano
        level.granted_nano += cost_nano
        level.unbooked_nano -= cost_nano
        level.shown = None


def end(levels: Levels, held_nano: int, cost_nano: int, now_us: int) -> None:
    """Spend ``cost_nano`` of a call's hold and free the rest, at each level."""
    for level in levels:
        level.held_nano -= held_nano
        level.free_nano += held_nano - cost_nano
        level.granted_nano -= cost_nano
        level.unbooked_nano += cost_nano
        level.used_us = now_us
        level.calls -= 1
        level.shown = None
