"""Everything that the ten steps compose, made once by boot."""

from dataclasses import dataclass, field

from tokenbooth.admission.entry.service import GateBook
from tokenbooth.admission.rates.service import RateBook
from tokenbooth.admission.shares.service import Shares
from tokenbooth.core.ports import Clock, Store
from tokenbooth.gateway.background import BackgroundDesk
from tokenbooth.gateway.directory import Directory
from tokenbooth.gateway.live import LiveCalls
from tokenbooth.gateway.media import MediaDesk
from tokenbooth.gateway.options import GatewayOptions, TillOptions
from tokenbooth.gateway.pool import EnginePool
from tokenbooth.gateway.prefixes import PrefixBook
from tokenbooth.gateway.replay import ReplayDesk
from tokenbooth.gateway.responses import ResponseDesk
from tokenbooth.gateway.till import Till
from tokenbooth.safety.screening.service import Policy
from tokenbooth.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """``till`` has the money that this process may spend, ``shares`` its part of limits, where it
    does not serve alone."""

    store: Store
    clock: Clock
    directory: Directory
    rates: RateBook
    gates: GateBook
    engines: EnginePool
    live: LiveCalls
    till: Till
    replays: ReplayDesk
    responses: ResponseDesk
    background: BackgroundDesk
    media: MediaDesk
    policy: Policy
    metrics: Metrics
    options: GatewayOptions
    till_options: TillOptions
    shares: Shares | None = None
    prefixes: PrefixBook = field(default_factory=PrefixBook)
