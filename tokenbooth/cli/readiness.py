"""``tokenbooth readiness``: may this model go to that stage, and what stands in the way."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.launch_desk import LaunchWishes, desk_of
from tokenbooth.cli.model import Name
from tokenbooth.cli.options import AsJson, DataDir
from tokenbooth.cli.output import EXIT_REFUSED, emit, lines
from tokenbooth.cli.stage import STAGES, Capability, Demand, Population, Predecessor

if TYPE_CHECKING:
    from tokenbooth.booth import Booth
    from tokenbooth.core.op import Op
    from tokenbooth.core.ports import Tx
    from tokenbooth.launch.readiness.service import Report
    from tokenbooth.signing.attestation import Attestation


def readiness(  # noqa: PLR0913 - one parameter for each option of the command line
    name: Name,
    to: Annotated[str, typer.Option("--to", metavar="STAGE", help=STAGES)],
    capability: Capability = "",
    population: Population = None,
    demand_rpm: Demand = None,
    predecessor: Predecessor = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page.")] = None,
    signed: Annotated[Path | None, typer.Option(help="Write the signed report.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Judge every gate up to a stage; exit 1 on NO-GO."""
    from tokenbooth.cli.booth import read
    from tokenbooth.cli.parsing import launch_stage_of
    from tokenbooth.control import launch_documents, launch_page, launch_report, launching

    stage = launch_stage_of(to)
    wishes = LaunchWishes(name, stage, capability, population, demand_rpm, predecessor)

    def work(booth: "Booth", op: "Op", tx: "Tx") -> "tuple[Report, Attestation]":
        desk = desk_of(booth)
        found = launch_report.report(op, tx, wishes.ask(), desk)
        return found, launching.signed_report(found, desk)

    found, attestation = read(data_dir, work)
    if html is not None:
        _write(html, launch_page.page(found, attestation), "html")
    if signed is not None:
        _write(signed, json.dumps(attestation.to_json(), indent=2) + "\n", "signed")
    document = {
        **launch_documents.report_json(found),
        "digest": attestation.digest,
        "key_id": attestation.key_id,
    }
    emit(document, as_json=as_json, text=lines(*launch_documents.report_lines(found)))
    if found.verdict.value != "GO":
        raise typer.Exit(EXIT_REFUSED)


def _write(path: Path, text: str, param: str) -> None:
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Problem(
            Code.INVALID_VALUE, f"{path} cannot be written: {error.strerror}.", param=param
        ) from error
