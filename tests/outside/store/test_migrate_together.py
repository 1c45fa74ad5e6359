"""Replicas that start together migrate one after the other."""

import subprocess
import sys
from pathlib import Path

from tokenbooth.store.migrate import schema_revision
from tokenbooth.store.once import run_once
from tokenbooth.store.options import StoreOptions
from tokenbooth.store.revision import HEAD, require_current

ROOT = Path(__file__).parents[3]
MIGRATE = """
import sys
from tokenbooth.store.migrate import migrate
from tokenbooth.store.options import StoreOptions

sys.stdin.readline()
migrate(StoreOptions(sys.argv[1]))
"""


def test_all_of_them_succeed(empty_options: StoreOptions) -> None:
    replicas = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty_options.url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for replica in replicas:
        assert replica.stdin is not None
        replica.stdin.write(b"go\n")
        replica.stdin.flush()
    errors = [replica.communicate(timeout=120)[1] for replica in replicas]
    assert errors == [b""] * 3
    assert [replica.returncode for replica in replicas] == [0] * 3
    assert schema_revision(empty_options) == HEAD
    run_once(empty_options, require_current, reading=True)
