"""Runs a command beside a real, temporary PostgreSQL; its arguments may hold ``{url}``."""

import subprocess
import sys
from collections.abc import Sequence

from tests.support.postgres import postgres_server

USAGE = "usage: with_postgres COMMAND [ARGUMENT | {url}] ..."


def main(arguments: Sequence[str]) -> int:
    """The command's own exit status."""
    if not arguments:
        print(USAGE, file=sys.stderr)
        return 2
    with postgres_server() as server:
        url = server.url(server.new_database())
        command = [part.replace("{url}", url) for part in arguments]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
