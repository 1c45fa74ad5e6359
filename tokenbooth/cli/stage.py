"""``tokenbooth stage``: how far a model is open, and what was promised of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.launch_desk import LaunchWishes, desk_of
from tokenbooth.cli.model import Name
from tokenbooth.cli.options import AsJson, DataDir, group
from tokenbooth.cli.output import emit, lines, table

if TYPE_CHECKING:
    from tokenbooth.booth import Booth
    from tokenbooth.core.op import Op
    from tokenbooth.core.ports import Tx
    from tokenbooth.launch.readiness.service import Report
    from tokenbooth.launch.slips.service import Promise
    from tokenbooth.launch.stages.service import Standing

app = group("stage", "How far each model is open, and to whom.")

# Their product, in the finest units of a report, stays a number that can be signed.
POPULATION_MAX, DEMAND_RPM_MAX = 1_000_000, 500_000
STAGES = "closed, waitlist, private_preview, public_preview, ga, deprecated or retired."
To = Annotated[str, typer.Argument(metavar="STAGE", help=STAGES)]
Capability = Annotated[
    str, typer.Option(help="Only this capability, such as images or tools; else the whole model.")
]
Population = Annotated[
    int | None,
    typer.Option(
        min=0, max=POPULATION_MAX, help="Organizations that are expected; else the policy's."
    ),
]
Demand = Annotated[
    int | None,
    typer.Option(
        "--demand-rpm",
        min=1,
        max=DEMAND_RPM_MAX,
        help="Calls a minute of one organization, until it is measured.",
    ),
]
Predecessor = Annotated[
    str | None, typer.Option(help="The model before; else the one that names this its successor.")
]


@app.command("set")
def set_stage(  # noqa: PLR0913 - one parameter for each option of the command line
    name: Name,
    stage: To,
    capability: Capability = "",
    sunset: Annotated[
        str | None, typer.Option(help="When a deprecated model ends: a day, a time or 180d.")
    ] = None,
    successor: Annotated[str | None, typer.Option(help="What to use instead.")] = None,
    reason: Annotated[str, typer.Option(help="Why; stays on record.")] = "",
    population: Population = None,
    demand_rpm: Demand = None,
    predecessor: Predecessor = None,
    waive: Annotated[
        list[str] | None, typer.Option(help="Let this gate be; may be given several times.")
    ] = None,
    owner: Annotated[str, typer.Option(help="Who answers for what is waived.")] = "",
    waive_until: Annotated[
        str, typer.Option(help="When the waiver ends: at most 90d from now.")
    ] = "7d",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Move a model to a stage; what opens it further must pass its gates."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import launch_stage_of, moment_us
    from tokenbooth.control import launch_documents, launching
    from tokenbooth.launch.stages.service import StageAsk

    to = launch_stage_of(stage)
    wishes = LaunchWishes(name, to, capability, population, demand_rpm, predecessor)

    def work(booth: "Booth", op: "Op", tx: "Tx") -> "tuple[Standing, Report | None]":
        desk, how = desk_of(booth), wishes.ask()
        for gate in waive or ():
            expires_us = moment_us(waive_until, op.now(), "waive-until") or 0
            grant = launching.Grant(gate=gate, owner=owner, reason=reason, expires_us=expires_us)
            launching.waive(op, tx, how, grant, desk.policy)
        ask = StageAsk(
            model=name,
            stage=to,
            capability=capability,
            sunset_us=moment_us(sunset, op.now(), "sunset"),
            successor=successor,
            reason=reason,
        )
        return launching.set_stage(op, tx, ask, how, desk)

    found, report = write(data_dir, work)
    said = launch_documents.standing_json(found)
    judged = "" if report is None else f" All {len(report.lines)} gates pass or are waived."
    what = f"{capability} of {name}" if capability else f"Model {name}"
    emit(said, as_json=as_json, text=lines(f"{what} is in {found.stage.value}.{judged}"))


@app.command("list")
def list_all(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List what was decided; a model that is not here is open to all."""
    from tokenbooth.cli.booth import read
    from tokenbooth.launch.stages import service as stages

    found = read(data_dir, lambda _booth, op, tx: stages.standings(op, tx))
    _show(tuple(one for each in found.values() for one in each), as_json=as_json)


@app.command("history")
def history(name: Name, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show every decision on a model, with who made it and why."""
    from tokenbooth.cli.booth import read
    from tokenbooth.launch.stages import service as stages

    found = read(data_dir, lambda _booth, op, tx: stages.history(op, tx, name))
    _show(found, as_json=as_json)


@app.command("promise")
def promise(  # noqa: PLR0913 - one parameter for each option of the command line
    name: Name,
    stage: To,
    by: Annotated[str, typer.Option(help="The promised day: a day, a time or 30d.")],
    reason: Annotated[str, typer.Option(help="Why this day.")],
    population: Population = None,
    demand_rpm: Demand = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Write down a promised date beside the forecast of today; nothing is ever forgotten."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import launch_stage_of, moment_us
    from tokenbooth.control import launch_documents, launching

    wishes = LaunchWishes(name, launch_stage_of(stage), "", population, demand_rpm, None)

    def work(booth: "Booth", op: "Op", tx: "Tx") -> "Promise":
        promised_us = moment_us(by, op.now(), "by") or 0
        return launching.promise(op, tx, wishes.ask(), promised_us, reason, desk_of(booth))

    said = launch_documents.promise_json(write(data_dir, work))
    cells = (
        f"early {said['forecast_early'] or 'unknown'}, late {said['forecast_late'] or 'unknown'}"
    )
    text = f"Promised: {name} in {stage} by {said['promised']}. Forecast: {cells}."
    emit(said, as_json=as_json, text=lines(text))


@app.command("promises")
def promises(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List every date that was promised, oldest first."""
    from tokenbooth.cli.booth import read
    from tokenbooth.control.launch_documents import promise_json
    from tokenbooth.launch.slips import service as slips

    found = read(data_dir, lambda _booth, op, tx: slips.promises(op, tx))
    rows = [promise_json(each) for each in found]
    heads = ("SAID", "MODEL", "STAGE", "PROMISED", "FORECAST EARLY", "LATE", "REASON")
    keys = ("said_at", "model", "stage", "promised", "forecast_early", "forecast_late", "reason")
    cells = [[row[key] for key in keys] for row in rows]
    emit({"object": "list", "data": rows}, as_json=as_json, text=table(heads, cells))


def _show(found: "tuple[Standing, ...]", *, as_json: bool) -> None:
    from tokenbooth.control.launch_documents import standing_json

    rows = [standing_json(each) for each in found]
    heads = ("MODEL", "CAPABILITY", "STAGE", "SINCE", "SUNSET", "BY", "REASON")
    keys = ("model", "capability", "stage", "since", "sunset_at", "author", "reason")
    cells = [[row[key] for key in keys] for row in rows]
    emit({"object": "list", "data": rows}, as_json=as_json, text=table(heads, cells))
