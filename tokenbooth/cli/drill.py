"""``tokenbooth drill``: a private instance under fire, and the proof that the books are right."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokenbooth.cli.options import AsJson, DataDir, group

if TYPE_CHECKING:
    from tokenbooth.proving.drills.play import Drill

app = group("drill", "Drills: a private instance, real faults, exact books.")

Seed = Annotated[int, typer.Option(help="What is drawn: which calls, and where it hurts.")]
Store = Annotated[
    str | None, typer.Option(help="PostgreSQL URL. [default: a SQLite file of its own]")
]
Keep = Annotated[
    Path | None, typer.Option(help="Play in this new directory and leave it, with all logs.")
]
Replicas = Annotated[int, typer.Option(min=1, help="Server processes that share the store.")]
Bookkeeper = Annotated[bool, typer.Option(help="Each server has a process that tells the ledger.")]


@app.callback()
def drill() -> None:
    """Drills: a private instance, real faults, exact books.

    Each plays in a temporary directory of its own; nothing in --data-dir is touched.
    Exit status 1 when one check fails.
    """


@app.command("mixed")
def mixed(  # noqa: PLR0913 - one parameter for each option of the command line
    calls: Annotated[int, typer.Option(min=1, help="Calls to make.")] = 500,
    parallel: Annotated[int, typer.Option(min=1, help="Calls at the same time.")] = 16,
    seed: Seed = 1,
    replicas: Replicas = 1,
    store: Store = None,
    keep: Keep = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Mixed calls, some cut, malformed or over cap, the engine killed twice; then the proof."""
    from tokenbooth.proving.drills.mixed.drill import MixedDrill

    _run(
        lambda: MixedDrill(calls=calls, parallel=parallel),
        _Chosen(seed, replicas, store, keep),
        as_json,
    )


@app.command("stampede")
def stampede(  # noqa: PLR0913 - one parameter for each option of the command line
    calls: Annotated[int, typer.Option(min=1, help="Calls of an exact rush, all at once.")] = 1000,
    callers: Annotated[int, typer.Option(min=1, help="Callers of a random rush.")] = 40,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="balance, organization, project or key; may be repeated. [default: all]"),
    ] = None,
    seed: Seed = 1,
    replicas: Replicas = 1,
    store: Store = None,
    keep: Keep = None,
    bookkeeper: Bookkeeper = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """A crowd at one limit: exactly what fits passes, and 99.9 % of the limit can be used."""
    from tokenbooth.proving.drills.stampede.drill import StampedeDrill
    from tokenbooth.proving.drills.stampede.plan import SCOPES

    scopes = SCOPES if limit is None else tuple(dict.fromkeys(limit))
    _run(
        lambda: StampedeDrill(calls=calls, callers=callers, scopes=scopes),
        _Chosen(seed, replicas, store, keep, bookkeeper),
        as_json,
    )


@app.command("disconnect")
def disconnect(
    seed: Seed = 1,
    replicas: Replicas = 1,
    store: Store = None,
    keep: Keep = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Clients hang up at every place of an answer: they pay for what they got, the engine stops."""
    from tokenbooth.proving.drills.disconnect.drill import DisconnectDrill

    _run(DisconnectDrill, _Chosen(seed, replicas, store, keep), as_json)


@app.command("kill")
def kill(  # noqa: PLR0913 - one parameter for each option of the command line
    kills: Annotated[int, typer.Option(min=1, help="How often a server dies.")] = 12,
    parallel: Annotated[int, typer.Option(min=1, help="Calls at the same time.")] = 12,
    seed: Seed = 1,
    replicas: Replicas = 2,
    store: Store = None,
    keep: Keep = None,
    bookkeeper: Bookkeeper = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """kill -9 at random points under load: no charge is lost, doubled, or above what came."""
    from tokenbooth.proving.drills.kill.drill import KillDrill

    _run(
        lambda: KillDrill(seed=seed, kills=kills, parallel=parallel),
        _Chosen(seed, replicas, store, keep, bookkeeper),
        as_json,
    )


@app.command("powercut")
def powercut(  # noqa: PLR0913 - one parameter for each option of the command line
    kills: Annotated[int, typer.Option(min=1, help="How often the power goes.")] = 12,
    parallel: Annotated[int, typer.Option(min=1, help="Calls at the same time.")] = 12,
    seed: Seed = 1,
    replicas: Replicas = 2,
    store: Store = None,
    keep: Keep = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """As kill, and each journal loses what it had not made durable, or ends in garbage."""
    from tokenbooth.proving.drills.powercut.drill import PowercutDrill

    _run(
        lambda: PowercutDrill(seed=seed, kills=kills, parallel=parallel),
        _Chosen(seed, replicas, store, keep),
        as_json,
    )


@app.command("dbdown")
def dbdown(  # noqa: PLR0913 - one parameter for each option of the command line
    seconds: Annotated[int, typer.Option(min=1, help="How long the database stays away.")] = 7,
    seed: Seed = 1,
    replicas: Replicas = 1,
    store: Store = None,
    keep: Keep = None,
    bookkeeper: Bookkeeper = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """The database goes away under load: leased money serves, nothing is served unmetered."""
    from tokenbooth.proving.drills.dbdown.drill import DbdownDrill

    _run(
        lambda: DbdownDrill(seconds=seconds),
        _Chosen(seed, replicas, store, keep, bookkeeper),
        as_json,
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The options that all drills share."""

    seed: int
    replicas: int
    store: str | None
    keep: Path | None
    bookkeeper: bool = False


def _run(made: "Callable[[], Drill[Any]]", chosen: _Chosen, as_json: bool) -> None:
    """Play what ``made`` returns."""
    from tokenbooth.cli.output import EXIT_REFUSED, emit, lines, step_progress
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem
    from tokenbooth.proving.drills import play

    try:
        options = play.DrillOptions(
            seed=chosen.seed,
            replicas=chosen.replicas,
            store_url=chosen.store,
            keep=chosen.keep,
            bookkeeper=chosen.bookkeeper,
        )
        with step_progress() as progress:
            report = play.run_drill(made(), options, progress)
    except ValueError as error:
        raise Problem(Code.INVALID_VALUE, f"{error}.") from error
    except (play.InstanceFault, TimeoutError) as error:
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
        return ", ".join(f"{name} {_plain(count)}" for name, count in value.items())
    return str(value)
