"""``tokenbooth cohort``: who is let in before the public."""

from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, group
from tokenbooth.cli.output import emit, lines, table

if TYPE_CHECKING:
    from pathlib import Path

    from tokenbooth.launch.cohorts.service import MemberState

app = group("cohort", "Organizations that are let in before the public, with caps of their own.")

Cohort = Annotated[str, typer.Argument(help="Name of the cohort.")]
Org = Annotated[str, typer.Argument(help="Name or id of the organization.")]


@app.command("create")
def create(  # noqa: PLR0913 - one parameter for each option of the command line
    name: Cohort,
    model: Annotated[str, typer.Option(help="The model that it is let in to.")],
    organizations_max: Annotated[
        int | None, typer.Option("--max", help="How many organizations it may have.")
    ] = None,
    cap: Annotated[
        str | None, typer.Option(help="Hard cap that each gets when it is invited.")
    ] = None,
    rpm: Annotated[int | None, typer.Option(help="Calls a minute of each, of this model.")] = None,
    tpm: Annotated[int | None, typer.Option(help="Tokens a minute of each.")] = None,
    parallel: Annotated[int | None, typer.Option(help="Calls at once of each.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Create a cohort; its limits come on top of those of the organization."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import cap_nano
    from tokenbooth.control import launch_documents, launching
    from tokenbooth.core.caller import CallLimits
    from tokenbooth.launch.cohorts.service import CohortAsk

    ask = CohortAsk(
        name=name,
        model=model,
        organizations_max=organizations_max,
        cap_nano=cap_nano(cap),
        limits=CallLimits(rpm, tpm, parallel),
    )
    made = write(data_dir, lambda _booth, op, tx: launching.create_cohort(op, tx, ask))
    said = launch_documents.cohort_json(made)
    emit(said, as_json=as_json, text=lines(f"Cohort {name} opens {model} to whom it invites."))


@app.command("list")
def list_all(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the cohorts and everybody in them."""
    from tokenbooth.cli.booth import read
    from tokenbooth.control.launch_documents import cohort_json
    from tokenbooth.launch.cohorts import service as cohorts

    found = read(
        data_dir,
        lambda _booth, op, tx: [
            (each, cohorts.members(op, tx, each.name)) for each in cohorts.cohorts(op, tx)
        ],
    )
    rows = [
        (each.name, each.model, member.org_id, member.state.value, member.author)
        for each, members in found
        for member in members
    ]
    emit(
        {"object": "list", "data": [cohort_json(*each) for each in found]},
        as_json=as_json,
        text=table(("COHORT", "MODEL", "ORGANIZATION", "STATE", "BY"), rows),
    )


@app.command("wait")
def wait(name: Cohort, org: Org, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Note an organization on the waitlist of a cohort."""
    from tokenbooth.launch.cohorts.service import MemberState

    _decide(data_dir, name, org, MemberState.WAITING, as_json=as_json)


@app.command("invite")
def invite(name: Cohort, org: Org, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Let an organization in; the cohort's cap becomes its own, unless that is lower."""
    from tokenbooth.launch.cohorts.service import MemberState

    _decide(data_dir, name, org, MemberState.INVITED, as_json=as_json)


@app.command("remove")
def remove(name: Cohort, org: Org, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Take an organization out again; its cap stays."""
    from tokenbooth.launch.cohorts.service import MemberState

    _decide(data_dir, name, org, MemberState.REMOVED, as_json=as_json)


def _decide(
    data_dir: "Path | None", name: str, org: str, state: "MemberState", *, as_json: bool
) -> None:
    from tokenbooth.cli.booth import cap
    from tokenbooth.control import launch_documents, launching

    member = cap(data_dir, lambda _booth, op, tx: launching.decide_member(op, tx, name, org, state))
    said = launch_documents.member_json(member)
    emit(said, as_json=as_json, text=lines(f"Organization {org} is {state.value} in {name}."))
