"""What an operator may set about the listening side."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeOptions:
    """Where to listen, and how long a slow peer is borne."""

    host: str = "127.0.0.1"
    port: int = 8000
    head_wait_max_s: int = 20
    body_wait_max_s: int = 30
    keep_alive_s: int = 75
    stall_max_s: int = 60
    pressure_high_bytes: int = 256 * 1024
    pressure_low_bytes: int = 64 * 1024
    calls_max: int = 4096
    connections_max: int = 8192
    bodies_bytes_max: int = 512 * 1024 * 1024
    drain_max_s: int = 30
