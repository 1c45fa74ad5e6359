"""What an operator may set about inference."""

import re
from dataclasses import dataclass

from tokenbooth.admission.entry.service import Pace, pace_of
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.alerts.service import DEFAULT_PERCENTS, checked_percents

REPLICA_CHARACTERS_MAX = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """Bounds of one call, in seconds and bytes.

    ``replica`` names the process: lower-case letters, digits and hyphens. ``bookkeeper``: a second
    process tells the ledger and signs receipts. ``workers`` are the processes that answer calls.
    ``paces``: see ``pace_of``. A call of the tier priority that waits longer than
    ``priority_wait_max_ms`` is one of the standard tier. Raises Problem INVALID_VALUE for another
    name or pace.
    """

    replica: str = "main"
    bookkeeper: bool = False
    workers: int = 1
    body_bytes_max: int = 4 * 1024 * 1024
    run_max_s: int = 600
    cancel_wait_max_s: int = 10
    heartbeat_s: int = 10
    engine_open_wait_max_s: int = 60
    directory_fresh_ms: int = 1000
    directory_stale_max_s: int = 60
    first_party_orgs: tuple[str, ...] = ()
    paces: tuple[str, ...] = ()
    priority_wait_max_ms: int = 1000

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.replica) or (
            len(self.replica) > REPLICA_CHARACTERS_MAX
        ):
            raise Problem(
                Code.INVALID_VALUE,
                f"A replica's name has 1 to {REPLICA_CHARACTERS_MAX} lower-case letters, digits and"
                " hyphens.",
                param="gateway.replica",
            )
        try:
            self.pace_by_model()
        except ValueError as error:
            raise Problem(
                Code.INVALID_VALUE,
                "A pace is `MODEL TTFT_MS TPOT_MS FLOOR CEILING`, such as `mine 2000 60 1 16`.",
                param="gateway.paces",
            ) from error

    def pace_by_model(self) -> dict[str, Pace]:
        return dict(pace_of(text) for text in self.paces)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What is kept for calls with an idempotency key, and for how long.

    ``answers_bytes_max`` is of all answers that are being written, ``answer_bytes_max`` of one.
    """

    kept_s: int = 24 * 3600
    answer_bytes_max: int = 1024 * 1024
    answers_bytes_max: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseOptions:
    """How long a stored response is kept, and how large one may be with its input.

    ``background_calls_max`` is of one project in one process, ``background_bytes_max`` of the
    events of all that run there, ``socket_bytes_max`` of what its WebSockets remember together.
    """

    kept_s: int = 30 * 86_400
    response_bytes_max: int = 4 * 1024 * 1024
    background_calls_max: int = 64
    background_bytes_max: int = 64 * 1024 * 1024
    socket_bytes_max: int = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaOptions:
    """Bounds of the media of one call, and of all calls of this process together.

    ``fetch_urls``: URLs are fetched, and not only what callers send themselves. ``part_bytes_max``
    is of one part, ``call_bytes_max`` of all parts of a call, ``bytes_max`` of all calls.
    ``calls_max`` calls are read at once, each for ``wait_max_s`` at most. ``pixels_max`` is of one
    image. A document has ``pages_max`` pages at most, and a model that sees gets images of the
    first ``page_images_max`` of them. Of a video of ``video_s_max`` seconds at most, ``frames_max``
    frames are shown.
    """

    fetch_urls: bool = True
    parts_max: int = 50
    part_bytes_max: int = 16 * 1024 * 1024
    call_bytes_max: int = 32 * 1024 * 1024
    bytes_max: int = 512 * 1024 * 1024
    calls_max: int = 4
    wait_max_s: int = 30
    pixels_max: int = 40_000_000
    pages_max: int = 100
    page_images_max: int = 20
    video_s_max: int = 300
    frames_max: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TillOptions:
    """How money is leased and told of; what is not a setting is a field all the same, for tests.

    ``block_nano_max`` bounds what one replica leases in advance at one level. An unstated output
    limit is held in steps of ``output_step_tokens`` for each choice. ``alert_percents`` are the
    parts of a limit whose spending makes an event. Raises Problem INVALID_VALUE for others.
    """

    block_nano_max: int = 20 * 10**9
    output_step_tokens: int = 1024
    idle_ms: int = 2000
    round_calls_max: int = 1024
    ship_after_ms: int = 200
    money_wait_max_s: int = 5
    flush_wait_max_s: int = 2
    close_wait_max_s: int = 10
    idle_every_ms: int = 250
    recall_every_ms: int = 50
    recall_retry_ms: int = 20
    retry_after_ms: int = 200
    progress_tokens: int = 64
    progress_every_ms: int = 250
    alert_percents: tuple[int, ...] = DEFAULT_PERCENTS

    def __post_init__(self) -> None:
        checked_percents(self.alert_percents, param="till.alert_percents")
