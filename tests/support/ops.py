"""A clock, ids and an Op for tests: all of it steps only when told to."""

from dataclasses import dataclass, field

from tokenbooth.core.op import Op

START_US = 1_700_000_000_000_000


@dataclass
class SilentLog:
    """Keeps what was logged, for tests that look."""

    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    faults: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def event(self, name: str, **fields: str | int | bool | None) -> None:
        self.events.append((name, dict(fields)))

    def fault(
        self, name: str, error: BaseException | None = None, **fields: str | int | bool | None
    ) -> None:
        self.faults.append((name, dict(fields)))


@dataclass
class ManualClock:
    us: int = START_US

    def now_us(self) -> int:
        return self.us

    def monotonic_us(self) -> int:
        return self.us


@dataclass
class CountingIds:
    """``req_00…01``, ``req_00…02``, …: ordered like the real ones."""

    count: int = 0

    def new(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}_{self.count:032x}"


def make_op(clock: ManualClock | None = None, request_id: str = "req_test") -> Op:
    return Op(request_id=request_id, now=(clock or ManualClock()).now_us, log=SilentLog())
