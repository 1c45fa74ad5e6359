"""``tokenbooth simulate``: many short lives of gateways and disks, and the laws of money; and model
servers under more load than they carry."""

from pathlib import Path
from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir

SHOWN_VIOLATIONS = 10

app = typer.Typer(name="simulate", pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def simulate(  # noqa: PLR0913 - one parameter for each option of the command line
    context: typer.Context,
    seeds: Annotated[int, typer.Option(min=1, help="Lives to play.")] = 200,
    operations: Annotated[int, typer.Option(min=1, help="Operations in each.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The first seed; with --seeds 1, only it.")] = 0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes to play in.")] = 2,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Play seeded lives of gateways that crash, lose power and disks, over the real money code.

    Nothing in --data-dir is touched. A seed plays the same life again. Exit status 1 when a law of
    money is broken.
    """
    if context.invoked_subcommand is not None:
        return
    from tokenbooth.cli.output import EXIT_REFUSED, emit, lines, step_progress
    from tokenbooth.proving.simulator.fleet import Order, play_fleet

    with step_progress() as progress:
        found = play_fleet(
            Order(seed, seeds, operations, workers),
            lambda so_far: progress("lives", so_far.seeds, seeds),
        )
    wrong = [
        f"seed {number}: {text}" for number, texts in found.violations.items() for text in texts
    ]
    emit(
        found.document(),
        as_json=as_json,
        text=lines(
            f"lives       {found.seeds}",
            f"operations  {found.operations}",
            f"calls       {found.calls}",
            *(f"{count:9} {place}" for place, count in found.coverage.items()),
            *(f"not reached {place}" for place in found.unreached),
            *wrong[:SHOWN_VIOLATIONS],
            f"{len(found.violations)} lives broke a law" if wrong else "every law held",
        ),
    )
    if not found.passed:
        raise typer.Exit(EXIT_REFUSED)


@app.command("serving")
def serving(
    servers: Annotated[int, typer.Option(min=1, help="Servers to simulate.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The first one's seed.")] = 1000,
    plot: Annotated[Path | None, typer.Option(help="Write a bar chart to this SVG file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ways to admit calls side by side, before simulated servers with too many callers.

    The desk is the class that the gateway runs. A figure that misses its goal is shown as it is.
    """
    from tokenbooth.cli.output import emit, lines, step_progress, write_text
    from tokenbooth.proving.bench.chart import svg
    from tokenbooth.proving.serving.study import run_study

    with step_progress() as progress:
        study = run_study(seed, servers, lambda done: progress("servers", done, servers))
    if plot is not None:
        write_text(plot, svg(study.chart()))
    emit(study.document(), as_json=as_json, text=lines(*study.lines()))
