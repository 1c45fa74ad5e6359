"""``tokenbooth project``: parts of an organization with caps of their own."""

from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, group
from tokenbooth.cli.output import emit, lines, table

if TYPE_CHECKING:
    from tokenbooth.access.orgs.service import Project
    from tokenbooth.boot import Booth
    from tokenbooth.core.op import Op
    from tokenbooth.core.ports import Tx

app = group("project", "Projects: parts of an organization, each with its own keys and cap.")

Org = Annotated[str, typer.Argument(help="Name or id of the organization.")]
ProjectName = Annotated[str, typer.Argument(help="Name or id of the project.")]
DataTermsOption = Annotated[
    str, typer.Option("--data-terms", help="What may become of its content: private, contributor.")
]


@app.command("create")
def create(
    org: Org,
    name: Annotated[str, typer.Argument(help="A name, unique in the organization.")],
    cap: Annotated[
        str | None, typer.Option("--cap", "--cap-usd", help="Hard cap on its spending.")
    ] = None,
    data_terms: DataTermsOption = "private",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Create a project."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import cap_nano, data_terms_of
    from tokenbooth.control import accounts, documents

    nano, terms = cap_nano(cap), data_terms_of(data_terms)

    def work(booth: "Booth", op: "Op", tx: "Tx") -> "Project":
        made = accounts.create_project(op, tx, org, name, cap_nano=nano, ids=booth.ids)
        return accounts.set_data_terms(op, tx, org, made.id, terms).project

    project = write(data_dir, work)
    emit(
        documents.project_json(project),
        as_json=as_json,
        text=lines(f"Project {project.name} is {project.id}."),
    )


@app.command("set")
def set_(
    org: Org,
    project: ProjectName,
    data_terms: DataTermsOption,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Change what may become of what the project's keys send; prices may depend on it."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import data_terms_of
    from tokenbooth.control import accounts, documents

    terms = data_terms_of(data_terms)
    line = write(
        data_dir, lambda _booth, op, tx: accounts.set_data_terms(op, tx, org, project, terms)
    )
    emit(
        documents.project_line_json(line),
        as_json=as_json,
        text=lines(f"Project {line.project.name}: {terms.value} data terms."),
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
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Set or lift the hard cap on a project."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import cap_nano
    from tokenbooth.control import accounts, documents

    nano = cap_nano(amount, "amount")
    line = write(data_dir, lambda _booth, op, tx: accounts.cap_project(op, tx, org, project, nano))
    emit(
        documents.project_line_json(line),
        as_json=as_json,
        text=lines(f"Project {line.project.name}: cap {amount}."),
    )
