"""``tokenbooth drill``: a private instance under fire, and the proof that the books are right."""

from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, group

app = group("drill", "Drills: a private instance, real faults, exact books.")


@app.callback()
def drill() -> None:
    """Drills: a private instance, real faults, exact books."""


@app.command("mixed")
def mixed(
    calls: Annotated[int, typer.Option(min=1, help="Calls to make.")] = 500,
    seed: Annotated[int, typer.Option(help="Which calls, and where they are cut.")] = 1,
    parallel: Annotated[int, typer.Option(min=1, help="Calls at the same time.")] = 16,
    store: Annotated[
        str | None, typer.Option(help="PostgreSQL URL. [default: a SQLite file of its own]")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Mixed calls, some cut, malformed or over cap, the engine killed twice; then the proof.

    It plays in a temporary directory of its own: nothing in --data-dir is touched. Exit 1 when
    one check fails.
    """
    from tokenbooth.cli.output import EXIT_REFUSED, emit, lines, step_progress
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem
    from tokenbooth.proving.drill_mixed import DrillOptions, run_drill
    from tokenbooth.proving.instance import InstanceFault

    try:
        options = DrillOptions(calls=calls, seed=seed, parallel=parallel, store_url=store)
        with step_progress() as progress:
            report = run_drill(options, progress)
    except ValueError as error:
        raise Problem(Code.INVALID_VALUE, f"{error}.") from error
    except (InstanceFault, TimeoutError) as error:
        raise Problem(Code.STATE_CONFLICT, f"The drill could not be played: {error}") from error
    document = report.document()
    shown = [f"{name:28} {value}" for name, value in document.items() if name != "violations"]
    wrong = [f"violated: {each.check}: {each.text}" for each in report.violations]
    emit(document, as_json=as_json, text=lines(*shown, *wrong))
    if not report.passed:
        raise typer.Exit(EXIT_REFUSED)
