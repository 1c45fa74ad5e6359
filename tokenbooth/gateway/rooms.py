"""Everything that the ten steps compose, made once by boot."""

from dataclasses import dataclass

from tokenbooth.admission.queue.service import GateBook
from tokenbooth.admission.rates.service import RateBook
from tokenbooth.core.ports import Clock, Store
from tokenbooth.gateway.live import LiveCalls
from tokenbooth.gateway.options import GatewayOptions
from tokenbooth.gateway.pool import EnginePool
from tokenbooth.gateway.settler import Settler
from tokenbooth.safety.screening.service import Policy
from tokenbooth.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """``pepper`` is the key that API keys are hashed with; ``replica_id`` owns this replica's
    holds."""

    store: Store
    clock: Clock
    pepper: bytes
    replica_id: str
    rates: RateBook
    gates: GateBook
    engines: EnginePool
    live: LiveCalls
    settler: Settler
    policy: Policy
    metrics: Metrics
    options: GatewayOptions
