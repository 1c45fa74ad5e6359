"""``tokenbooth project``: parts of an organization with caps of their own."""

from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.options import AsJson, CapPeriod, DataDir, NewCapPeriod, group
from tokenbooth.cli.output import emit, lines, table

if TYPE_CHECKING:
    from tokenbooth.booth import Booth
    from tokenbooth.control.accounts import ProjectLine
    from tokenbooth.core.op import Op
    from tokenbooth.core.ports import Tx

app = group("project", "Projects: parts of an organization, each with its own keys and cap.")

Org = Annotated[str, typer.Argument(help="Name or id of the organization.")]
ProjectName = Annotated[str, typer.Argument(help="Name or id of the project.")]
DATA_TERMS = typer.Option(
    "--data-terms", help="What may become of its content: private, contributor."
)
ANSWERS_KEPT = typer.Option(
    "--answers-kept/--no-answers-kept",
    help="Keep answers, sealed and for a day, for calls with an Idempotency-Key.",
)
DataTermsOption = Annotated[str, DATA_TERMS]
AnswersKept = Annotated[bool, ANSWERS_KEPT]


@app.command("create")
def create(  # noqa: PLR0913 - one parameter for each option of the command line
    org: Org,
    name: Annotated[str, typer.Argument(help="A name, unique in the organization.")],
    cap: Annotated[
        str | None, typer.Option("--cap", "--cap-usd", help="Hard cap on its spending.")
    ] = None,
    cap_period: CapPeriod = "none",
    data_terms: DataTermsOption = "private",
    answers_kept: AnswersKept = True,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Create a project."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import cap_nano, data_terms_of, period_of
    from tokenbooth.control import accounts, documents

    nano, period, terms = cap_nano(cap), period_of(cap_period), data_terms_of(data_terms)

    def work(booth: "Booth", op: "Op", tx: "Tx") -> "ProjectLine":
        made = accounts.create_project(op, tx, org, name, cap_nano=None, ids=booth.ids)
        accounts.cap_project(op, tx, org, made.id, nano, period)
        accounts.set_data_terms(op, tx, org, made.id, terms)
        return accounts.keep_answers(op, tx, org, made.id, kept=answers_kept)

    line = write(data_dir, work)
    emit(
        documents.project_line_json(line),
        as_json=as_json,
        text=lines(f"Project {line.project.name} is {line.project.id}."),
    )


@app.command("set")
def set_(
    org: Org,
    project: ProjectName,
    data_terms: Annotated[str | None, DATA_TERMS] = None,
    answers_kept: Annotated[bool | None, ANSWERS_KEPT] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Change what may become of what the project's keys send, and whether answers are kept."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import check_any, data_terms_of
    from tokenbooth.control import accounts, documents

    check_any({"data-terms": data_terms, "answers-kept": answers_kept})
    terms = None if data_terms is None else data_terms_of(data_terms)

    def work(_booth: "Booth", op: "Op", tx: "Tx") -> "ProjectLine":
        if terms is not None:
            accounts.set_data_terms(op, tx, org, project, terms)
        if answers_kept is not None:
            accounts.keep_answers(op, tx, org, project, kept=answers_kept)
        return accounts.project_line(op, tx, org, project)

    line = write(data_dir, work)
    kept = "kept" if line.answers_kept else "not kept"
    emit(
        documents.project_line_json(line),
        as_json=as_json,
        text=lines(
            f"Project {line.project.name}: {line.project.data_terms.value} data terms,"
            f" answers {kept}."
        ),
    )


@app.command("list")
def list_all(
    org: Annotated[str | None, typer.Option(help="Only this organization's.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List projects with what they have spent."""
    from tokenbooth.cli.booth import read
    from tokenbooth.cli.money import limit_cells
    from tokenbooth.control import accounts, documents

    found = read(data_dir, lambda _booth, op, tx: accounts.projects(op, tx, org))
    emit(
        {"object": "list", "data": [documents.project_line_json(line) for line in found]},
        as_json=as_json,
        text=table(
            ("NAME", "ID", "ORGANIZATION", "DATA TERMS", "CURRENCY", "LEFT", "CAP", "SPENT"),
            [
                (
                    line.project.name,
                    line.project.id,
                    line.project.org_id,
                    line.project.data_terms.value,
                    line.currency,
                    *limit_cells(line.limits[0]),
                )
                for line in found
            ],
        ),
    )


@app.command("cap")
def cap(
    org: Org,
    project: ProjectName,
    amount: Annotated[
        str, typer.Argument(help="Hard cap in the organization's currency, or none.")
    ],
    cap_period: NewCapPeriod = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Set or lift the hard cap on a project."""
    from tokenbooth.cli.booth import cap as set_cap
    from tokenbooth.cli.parsing import cap_nano, period_of
    from tokenbooth.control import accounts, documents

    nano = cap_nano(amount, "amount")
    period = None if cap_period is None else period_of(cap_period)
    line = set_cap(
        data_dir, lambda _booth, op, tx: accounts.cap_project(op, tx, org, project, nano, period)
    )
    emit(
        documents.project_line_json(line),
        as_json=as_json,
        text=lines(f"Project {line.project.name}: cap {amount}."),
    )
