"""What an operator may set about inference."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """Bounds of one call, in seconds and bytes."""

    body_bytes_max: int = 4 * 1024 * 1024
    run_max_s: int = 600
    cancel_wait_max_s: int = 10
    heartbeat_s: int = 10
    engine_open_wait_max_s: int = 60
    settle_wait_max_s: int = 30
