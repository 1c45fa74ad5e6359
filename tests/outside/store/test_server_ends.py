"""The test server leaves nothing behind, even when the process that started it is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
START = """
import sys
from tests.support.postgres import start_postgres

server = start_postgres()
print(server.directory, server.watchdog.pid, flush=True)
sys.stdin.read()
"""


def test_a_killed_starter_takes_its_server_along() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", START], cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert starter.stdout is not None
    assert starter.stdin is not None
    directory, _watchdog = starter.stdout.readline().split()
    path = Path(os.fsdecode(directory))
    assert (path / "data" / "postmaster.pid").exists()
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdin.close()
    # The watchdog holds the other end of this pipe: its end is the end of the pipe.
    starter.stdout.read()
    starter.stdout.close()
    assert not path.exists()
