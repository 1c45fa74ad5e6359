"""``tokenbooth serve``: the booth opens."""

from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir
from tokenbooth.cli.output import emit, lines

Port = Annotated[int | None, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")]
Replica = Annotated[
    str | None,
    typer.Option(help="Name of this process where several serve one ledger; `main` without it."),
]
Host = Annotated[str | None, typer.Option(help="Address to listen on.")]


def serve(
    port: Port = None,
    host: Host = None,
    replica: Replica = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; running calls may finish within the drain time."""
    from tokenbooth.bookkeeper.fork import bookkeeper
    from tokenbooth.boot import run_server
    from tokenbooth.config import load_settings
    from tokenbooth.control.serving import Serving
    from tokenbooth.edge.loop import run_on_fast_loop

    settings = load_settings(data_dir).settings.listening(host, port, replica)

    async def ready(serving: Serving) -> None:
        emit(
            {"base_url": f"{serving.base_url}/v1", "pid": serving.pid},
            as_json=as_json,
            text=lines(f"Serving {settings.data_dir} at {serving.base_url}/v1 (Ctrl-C stops)."),
        )

    with bookkeeper(settings) as link:
        run_on_fast_loop(run_server(settings, ready, link=link))
