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

    It plays in a temporary directory of its own: nothing in --data-dir is touched.
    Exit status 1 when one check fails.
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
    shown = [f"{n:28} {_plain(value)}" for n, value in document.items() if n != "violations"]
    wrong = [f"violated: {each.check}: {each.text}" for each in report.violations]
    verdict = "every check held" if report.passed else "the books or the answers are wrong"
    emit(document, as_json=as_json, text=lines(*shown, *wrong, verdict))
    if not report.passed:
        raise typer.Exit(EXIT_REFUSED)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return str(value)
