"""How many places each tenant holds, and who was here lately."""

_TURN_US = 15_000_000


class Shares:
    """Of one deployment. A tenant is forgotten 15 to 30 s after its last call."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._recent: set[str] = set()
        self._turn_us = 0

    @property
    def active(self) -> int:
        return max(1, len(self._held))

    def entered(self, tenant: str, now_us: int) -> None:
        self._held[tenant] = self._held.get(tenant, 0) + 1
        self._recent.add(tenant)
        if now_us - self._turn_us >= _TURN_US:
            self._turn(now_us)

    def left(self, tenant: str) -> None:
        if tenant in self._held:
            self._held[tenant] -= 1

    def over(self, tenant: str, limit: int, *, heavy: bool) -> bool:
        """Whether one more would be past its part of ``limit``; alone a tenant has all of it.

        The part of a ``heavy`` one is half of an equal part, that of others a quarter more.
        """
        held = self._held.get(tenant, 0) + 1
        others = len(self._held) - (tenant in self._held)
        parts = 4 if heavy else 3
        return others > 0 and held * (others + 1) * parts > limit * 4

    def _turn(self, now_us: int) -> None:
        self._turn_us = now_us
        recent, self._recent = self._recent, set()
        self._held = {
            tenant: held for tenant, held in self._held.items() if held or tenant in recent
        }
