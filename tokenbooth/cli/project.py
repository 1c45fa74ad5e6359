"""``tokenbooth project``: parts of an organization with caps of their own."""

from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, group
from tokenbooth.cli.output import emit, lines, table

app = group("project", "Projects: parts of an organization, each with its own keys and cap.")

Org = Annotated[str, typer.Argument(help="Name or id of the organization.")]


@app.command("create")
def create(
    org: Org,
    name: Annotated[str, typer.Argument(help="A name, unique in the organization.")],
    cap_usd: Annotated[str | None, typer.Option(help="Hard cap on its spending.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Create a project."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import cap_nano
    from tokenbooth.control import accounts, documents

    nano = cap_nano(cap_usd)
    project = write(
        data_dir,
        lambda booth, op, tx: accounts.create_project(
            op, tx, org, name, cap_nano=nano, ids=booth.ids
        ),
    )
    emit(
        documents.project_json(project),
        as_json=as_json,
        text=lines(f"Project {project.name} is {project.id}."),
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
            ("NAME", "ID", "ORGANIZATION", "LEFT USD", "CAP USD", "SPENT USD"),
            [
                (
                    line.project.name,
                    line.project.id,
                    line.project.org_id,
                    *limit_cells(line.limits[0]),
                )
                for line in found
            ],
        ),
    )


@app.command("cap")
def cap(
    org: Org,
    project: Annotated[str, typer.Argument(help="Name or id of the project.")],
    usd: Annotated[str, typer.Argument(help="Hard cap in USD, or none.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Set or lift the hard cap on a project."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import cap_nano
    from tokenbooth.control import accounts, documents

    nano = cap_nano(usd, "usd")
    line = write(data_dir, lambda _booth, op, tx: accounts.cap_project(op, tx, org, project, nano))
    emit(
        documents.project_line_json(line),
        as_json=as_json,
        text=lines(f"Project {line.project.name}: cap {usd}."),
    )
