"""``tokenbooth up``: from nothing to a first paid, streamed answer."""

from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir
from tokenbooth.cli.serve import Host, Port


def up(
    once: Annotated[
        bool, typer.Option("--once", help="Make one paid call, print its cost, stop.")
    ] = False,
    port: Port = None,
    host: Host = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Set up what is missing, serve a real model, and print a call that works.

    A free port is taken when the default one is busy. The printed key is kept in
    secrets/up.key of the data directory, readable by its owner only.
    """
    from tokenbooth.cli.first_serve import serve_prepared
    from tokenbooth.cli.first_steps import prepare

    serve_prepared(prepare(data_dir, host, port, once=once), once=once, as_json=as_json)
