"""Runs a command beside a real, temporary PostgreSQL.

Its arguments may hold ``{url}``, and ``{other}`` for a second database. With ``--synced`` the
server waits for the disk, as measurements want.
"""

import subprocess
import sys
from collections.abc import Sequence

from tests.support.postgres import postgres_server

USAGE = "usage: with_postgres [--synced] COMMAND [ARGUMENT | {url} | {other}] ..."


def main(arguments: Sequence[str]) -> int:
    """The command's own exit status."""
    synced = list(arguments[:1]) == ["--synced"]
    parts = arguments[1:] if synced else arguments
    if not parts:
        print(USAGE, file=sys.stderr)
        return 2
    with postgres_server(synced=synced) as server:
        url, other = (server.url(server.new_database()) for _ in range(2))
        command = [part.replace("{url}", url).replace("{other}", other) for part in parts]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
