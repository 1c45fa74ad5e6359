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
Workers = Annotated[
    int | None,
    typer.Option(min=1, max=64, help="Processes that answer calls, best one for each core."),
]
Host = Annotated[str | None, typer.Option(help="Address to listen on.")]


def serve(
    port: Port = None,
    host: Host = None,
    replica: Replica = None,
    workers: Workers = None,
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

    def told(serving: Serving) -> None:
        emit(
            {"base_url": f"{serving.base_url}/v1", "pid": serving.pid},
            as_json=as_json,
            text=lines(f"Serving {settings.data_dir} at {serving.base_url}/v1 (Ctrl-C stops)."),
        )

    count = settings.gateway.workers if workers is None else workers
    if count > 1:
        from tokenbooth.fleet.run import run_fleet

        raise typer.Exit(run_fleet(settings, count, told))

    async def ready(serving: Serving) -> None:
        told(serving)

    with bookkeeper(settings) as link:
        run_on_fast_loop(run_server(settings, ready, link=link))
