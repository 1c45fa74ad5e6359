"""What the benchmark of the gateway does, and what it saw. Frozen nouns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tokenbooth.proving.observations import PriceSeen
from tokenbooth.proving.stage import KeyPlan, ModelPlan, OrgPlan, ProjectPlan, StagePlan

ORG, PROJECT, KEY = "main", "bench", "bench"
CREDIT_NANO = 10**15
# What one deployment may run at once; more idle streams than that go to a second model.
DEPLOYMENT_RUNS_MAX = 4000
NS_PER_MS = 1_000_000
RATE_STEPS, RATE_PAUSE_US = 16, 2000
IDLE_STEPS, IDLE_PAUSE_US = 2, 600_000_000
GATEWAY, OTHERS = "gateway", "others"


class Side(StrEnum):
    """Who is measured: nginx, the booth, one with several workers, or somebody else's gateway."""

    NGINX = "nginx"
    BOOTH = "tokenbooth"
    WORKERS = "workers"
    PEER = "peer"


class Load(StrEnum):
    """WHOLE: a closed loop of answers in one piece. SHORT, LONG: a closed loop of streams, also
    in another dialect than the upstream's. RATE: a stream every so often. WARM: as WHOLE, before
    all others, and of no row."""

    WARM = "warm"
    WHOLE = "request"
    SHORT = "stream_short"
    LONG = "stream_long"
    SHORT_TRANSLATED = "stream_short_translated"
    LONG_TRANSLATED = "stream_long_translated"
    RATE = "rate"

    @property
    def stream(self) -> bool:
        return self not in (Load.WARM, Load.WHOLE)

    @property
    def translated(self) -> bool:
        return self in (Load.SHORT_TRANSLATED, Load.LONG_TRANSLATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """``windows`` of each closed loop of answers, ``stream_windows`` of each kind of stream,
    ``rate_windows`` at the fixed rate, in turns with nginx; ``starts`` of a cold server.

    ``budget_s``: no further round of windows begins after so long. ``gate_percent``: by how much a
    multiple of nginx may be over its bound before it is a regression. ``workers``: a second booth
    has so many; with 1 there is none. Raises ValueError for what cannot be measured.
    """

    windows: int = 7
    window_ms: int = 2000
    warm_ms: int = 500
    tail_ms: int = 1200
    calls_at_once: int = 64
    stream_windows: int = 5
    stream_window_ms: int = 2000
    streams_at_once: int = 256
    short_steps: int = 8
    long_steps: int = 72
    pause_ms: int = 20
    rate_windows: int = 5
    rate_window_ms: int = 5000
    calls_per_s: int = 200
    syncs: int = 100
    idle_streams: int = 5000
    starts: int = 3
    budget_s: int = 900
    workers: int = 1
    gate_percent: int | None = None
    peer: str | None = None
    peer_python: Path | None = None

    def __post_init__(self) -> None:
        if min(self.windows, self.stream_windows, self.rate_windows, self.starts) < 1:
            raise ValueError("every row needs one window at least")
        if self.peer not in (None, "litellm"):
            raise ValueError(f"{self.peer} is not known as a peer; litellm is")
        if self.peer is None and self.peer_python is not None:
            raise ValueError("an interpreter of a peer needs the name of the peer")

    @property
    def models(self) -> Mapping[str, tuple[int, int]]:
        """By name: how many steps its answer has, and the microseconds between two."""
        idle = -(-self.idle_streams // DEPLOYMENT_RUNS_MAX)
        return {
            "whole": (1, 0),
            "short": (self.short_steps, self.pause_ms * 1000),
            "long": (self.long_steps, self.pause_ms * 1000),
            "rate": (RATE_STEPS, RATE_PAUSE_US),
            **{f"idle{number}": (IDLE_STEPS, IDLE_PAUSE_US) for number in range(idle)},
        }

    def stage(self, upstream_port: int) -> StagePlan:
        """Hard caps at the organization, the project and the key, and a model for each pace."""
        price = PriceSeen(input_pico=2_500_000, cached_pico=2_500_000, output_pico=10_000_000)
        return StagePlan(
            orgs=(OrgPlan(ORG, CREDIT_NANO, CREDIT_NANO),),
            projects=(ProjectPlan(PROJECT, ORG, CREDIT_NANO),),
            keys=(KeyPlan(KEY, ORG, PROJECT, CREDIT_NANO),),
            models=tuple(
                ModelPlan(
                    name=name,
                    price=price,
                    output_tokens_max=4096,
                    script={
                        "pool_max": str(DEPLOYMENT_RUNS_MAX),
                        "idle_timeout_ms": str(IDLE_PAUSE_US // 1000),
                    },
                    upstream_url=f"http://127.0.0.1:{upstream_port}{mock_path(*pace)}/v1",
                    concurrency_max=DEPLOYMENT_RUNS_MAX,
                    queue_max=1000,
                )
                for name, pace in self.models.items()
            ),
        )


QUICK = GatewayOptions(
    windows=5,
    window_ms=500,
    warm_ms=200,
    tail_ms=300,
    stream_windows=2,
    stream_window_ms=500,
    streams_at_once=128,
    long_steps=40,
    pause_ms=10,
    rate_windows=2,
    rate_window_ms=1000,
    syncs=50,
    idle_streams=500,
    starts=1,
    budget_s=35,
)


def mock_path(steps: int, pause_us: int) -> str:
    """How a path tells the mock upstream the pace of its answer."""
    return f"/{steps}/{pause_us}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSeen:
    """One window. ``ran_ns`` is the run time of the process that answers, ``waited_ns`` how long
    its threads waited for a core, ``others_ns`` the run time of the processes beside it, all inside
    of the window; ``others_all_ns`` is theirs over all ``answers_all``, a tail included. A chunk
    may share a read with another.
    """

    side: Side
    load: Load
    wall_ns: int
    answers: int
    answers_all: int
    failed: int
    failure: str
    chunks: int
    reads: int
    ran_ns: int
    waited_ns: int
    others_ns: int
    others_all_ns: int
    first_us: tuple[int, ...] = ()
    whole_us: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySeen:
    """Of the answering process, in bytes, by the kernel: idle, and with ``held`` streams open.

    ``failure`` is why one of them ended too early, empty where none did.
    """

    side: Side
    idle_rss: int
    idle_pss: int
    before_rss: int
    held: int
    held_rss: int
    failure: str = ""

    @property
    def stream_bytes(self) -> int:
        """What one open stream takes."""
        return (self.held_rss - self.before_rss) // self.held if self.held else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSeen:
    """Where it was measured, and with what."""

    cpu: str
    cores: int
    gateway_core: int
    load_core: int
    kernel: str
    python: str
    versions: Mapping[str, str]
    load_before: str
    load_after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySaw:
    """Everything that was seen. ``sync_us`` are waits for the disk of the instance, ``log_tail`` is
    what the booth said last. ``cold_waited_ms`` of each start the process had no core."""

    machine: MachineSeen
    windows: tuple[WindowSeen, ...]
    sync_us: tuple[int, ...] = ()
    memory: tuple[MemorySeen, ...] = ()
    cold_start_ms: tuple[int, ...] = ()
    cold_waited_ms: tuple[int, ...] = ()
    workers_problems: tuple[str, ...] = ()
    peer: Mapping[str, object] = field(default_factory=dict)
    log_tail: str = ""
