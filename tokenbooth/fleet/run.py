"""A fleet from its address to its end."""

import gc
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from os import getpid
from pathlib import Path

from tokenbooth.config import Settings
from tokenbooth.control.instance import read_secrets
from tokenbooth.control.serving import Serving, serving_lock
from tokenbooth.edge.server import LAST_WORDS_S, reserve
from tokenbooth.fleet.members import Plan, check_names, members, with_port
from tokenbooth.fleet.supervisor import Supervisor
from tokenbooth.telemetry.lines import json_line, text_line
from tokenbooth.telemetry.log import JsonLog

END_SPARE_S = 10


class DirectLines:
    """Lines that are written at once: the parent of a fleet has no threads."""

    lost = 0

    def put(self, line: str) -> bool:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
        return True


def run_fleet(settings: Settings, workers: int, ready: Callable[[Serving], None]) -> int:
    """Serve with so many data planes until a signal; the exit status. ``ready`` runs once.

    Raises STATE_CONFLICT when the directory is served already or was not set up, or the port taken,
    and INVALID_VALUE for a replica's name that is too long to make those of its workers of.
    """
    check_names(settings, workers)
    read_secrets(settings.data_dir)
    with (
        serving_lock(settings.data_dir, settings.gateway.replica) as note,
        reserve(settings.edge) as kept,
        tempfile.TemporaryDirectory(prefix="tokenbooth-") as meeting,
    ):
        port = kept.getsockname()[1]
        here = Serving(getpid(), settings.edge.host, port)
        control, crew = members(Plan(with_port(settings, port), workers, Path(meeting)))
        layout = json_line if settings.log.format == "json" else text_line
        log = JsonLog(
            DirectLines(), lambda: time.time_ns() // 1000, level=settings.log.level, layout=layout
        )

        def begun() -> None:
            note.write(here)
            log.event("fleet_serving", host=here.host, port=here.port, workers=workers)
            ready(here)

        assert threading.active_count() == 1, "a process with threads must not be forked"
        gc.freeze()
        drained_s = settings.edge.drain_max_s + LAST_WORDS_S + settings.till.close_wait_max_s
        return Supervisor(control, crew, log, drained_s + END_SPARE_S).run(begun)
