"""``tokenbooth certify``: how many calls at once, at which quality, and the proof of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from tokenbooth.cli.options import AsJson, DataDir, KeySecret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenbooth.proving.certify.measure import Ask, Measured
    from tokenbooth.verify.certificates.service import Step

QUICK_S = 30
RUN = "run"


class _RunsByDefault(TyperGroup):
    """``certify MODEL`` is ``certify run MODEL``; the other commands keep their names."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = [word for word in args if not word.startswith("-")]
        if words and words[0] not in self.commands:
            args = [RUN, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="certify",
    cls=_RunsByDefault,
    help="Measure an endpoint: rate and concurrency that keep a promise, and answers as good.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

File = Annotated[Path, typer.Argument(help="A certificate with its samples.")]


@app.command(RUN)
def run(  # noqa: PLR0913 - one parameter for each option of the command line
    model: Annotated[str, typer.Argument(help="Name of the model at the endpoint.")],
    ttft_ms: Annotated[
        int, typer.Option(min=1, help="A good call has its first token within this.")
    ] = 2000,
    tpot_ms: Annotated[
        int, typer.Option(min=1, help="And each further one within this, on average.")
    ] = 100,
    attainment: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="The share of calls that shall be good.")
    ] = 0.95,
    quick: Annotated[bool, typer.Option(help="Within a minute, with wider margins.")] = False,
    minutes: Annotated[int, typer.Option(min=1, max=720, help="About how long it may take.")] = 9,
    url: Annotated[
        str | None,
        typer.Option(help="Any server with Chat Completions, up to /v1. [default: this booth]"),
    ] = None,
    key: KeySecret = None,
    key_env: Annotated[
        str | None, typer.Option(help="Variable of the environment that holds the key.")
    ] = None,
    batch_max: Annotated[
        int, typer.Option(min=1, max=1024, help="Calls at once that the first look tries at most.")
    ] = 256,
    days: Annotated[int, typer.Option(min=1, max=365, help="How long the certificate counts.")] = 7,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the probes. [default: a secret one]")
    ] = None,
    note: Annotated[str, typer.Option(help="What it runs on, in your words.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Directory of the result. [default: certificate-MODEL]")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Measure, sign, and write certificate.json and report.html; exit 1 when nothing is certified.

    The certificate is signed with the key of this instance. It costs what its calls cost.
    """
    from tokenbooth.cli.certify_run import endpoint_of, told_result, write_result
    from tokenbooth.cli.output import EXIT_REFUSED, emit, lines
    from tokenbooth.proving.certify.measure import Ask
    from tokenbooth.verify.search.service import PPM, Promise

    endpoint = endpoint_of(model, url, key, key_env, data_dir)
    promise = Promise(ttft_ms * 1000, tpot_ms * 1000, round(attainment * PPM))
    time_s = QUICK_S if quick else minutes * 60
    ask = Ask(
        endpoint=endpoint,
        promise=promise,
        time_s=time_s,
        seed=_seed(seed),
        batch_max=batch_max,
    )
    measured = _measured(ask)
    directory = out or Path(f"certificate-{model.replace('/', '-')}")
    document = write_result(measured, ask, note, days, directory, data_dir)
    emit(document, as_json=as_json, text=lines(*told_result(measured, directory)))
    if not measured.figures.concurrency:
        raise typer.Exit(EXIT_REFUSED)


@app.command("verify")
def verify(
    file: File,
    key: Annotated[
        str | None,
        typer.Option(
            help="The booth's public key: 64 hex digits, a file of them, or the document of"
            " /v1/receipts/keys. Without it, a signature counts whoever made it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute every figure from the raw samples, without any network; exit 1 on a difference."""
    from tokenbooth.booth import SystemClock
    from tokenbooth.cli.certify_run import read_document, told_steps
    from tokenbooth.cli.output import EXIT_REFUSED, emit, lines
    from tokenbooth.control.certificates import verified
    from tokenbooth.control.verification import trusted_keys

    steps = verified(read_document(file), trusted_keys(key), SystemClock().now_us())
    emit(_steps_json(steps), as_json=as_json, text=lines(*told_steps(steps)))
    if not all(step.ok for step in steps):
        raise typer.Exit(EXIT_REFUSED)


@app.command("apply")
def apply(
    file: File,
    model: Annotated[
        str | None, typer.Option(help="Model here that it is for. [default: the one it names]")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="A public key that may sign, besides this booth's own; repeatable."),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Verify it, and publish its concurrency in /v1/models as long as it counts."""
    from tokenbooth.booth import Booth
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.certify_run import read_document
    from tokenbooth.cli.output import emit, lines
    from tokenbooth.control import certificates, receipts
    from tokenbooth.control.verification import trusted_keys
    from tokenbooth.core.op import Op
    from tokenbooth.core.ports import Tx
    from tokenbooth.verify.applied.service import Applied

    document = read_document(file)
    named = [public for each in key or () for public in trusted_keys(each)]

    def work(booth: Booth, op: Op, tx: Tx) -> Applied:
        own = [line.public for line in receipts.public_keys(op, tx, booth.signer())]
        return certificates.apply(op, tx, document, (*own, *named), model)

    made = write(data_dir, work)
    shown = certificates.capacity_json(made, (), made.effective_us)
    pace = f"{made.model} {shown['ttft_ms']} {shown['tpot_ms']} 1 {made.concurrency}"
    told = (
        f"Model {made.model} is certified for {made.concurrency} calls at once.",
        f"Admission's bounds for it: {pace}",
    )
    document_shown = {"object": "capacity", "model": made.model, **shown, "pace": pace}
    emit(document_shown, as_json=as_json, text=lines(*told))


@app.command("import")
def import_report(
    file: Annotated[Path, typer.Argument(help="A report of GuideLLM or AIPerf, as JSON.")],
    as_json: AsJson = False,
) -> None:
    """Tell what a report of another load tool says, as evidence that nobody here measured."""
    from tokenbooth.cli.certify_run import file_digest, read_document
    from tokenbooth.cli.output import emit, table
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem
    from tokenbooth.verify.imports.service import UnknownReport, imported, imported_json

    try:
        found = imported(read_document(file), file_digest(file))
    except UnknownReport as error:
        raise Problem(Code.INVALID_VALUE, f"{file}: {error}.", param="file") from error
    rows = [(each.name, each.figure, each.unit) for each in found.figures]
    emit(imported_json(found), as_json=as_json, text=table(("FIGURE", "VALUE", "UNIT"), rows))


@app.command("prove")
def prove(
    what: Annotated[str, typer.Argument(help="knees or faults.")],
    count: Annotated[
        int | None, typer.Option(min=1, help="Servers, or trials. [default: 50, or 100]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the first server or trial.")] = 1000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Hold the method against simulated servers and planted faults; no instance is needed."""
    from tokenbooth.cli.output import emit, lines
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem
    from tokenbooth.proving.certify.faults import FaultReport, prove_faults
    from tokenbooth.proving.certify.knees import KneeReport, prove_knees

    report: KneeReport | FaultReport
    if what == "knees":
        report = prove_knees(count or 50, seed, workers)
    elif what == "faults":
        report = prove_faults(count or 100, seed)
    else:
        raise Problem(Code.INVALID_VALUE, "Prove knees or faults.", param="what")
    emit(report.document(), as_json=as_json, text=lines(*report.lines()))


def _measured(ask: "Ask") -> "Measured":
    import asyncio

    from tokenbooth.cli.output import step_progress
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem
    from tokenbooth.proving.certify.measure import NotMeasured, measure

    try:
        with step_progress() as progress:
            return asyncio.run(measure(ask, progress))
    except (NotMeasured, ValueError) as error:
        raise Problem(Code.STATE_CONFLICT, f"Nothing was measured: {error}.") from error


def _seed(chosen: int | None) -> int:
    from tokenbooth.booth import SystemRandomness

    return int.from_bytes(SystemRandomness().token_bytes(6)) if chosen is None else chosen % 2**48


def _steps_json(steps: "tuple[Step, ...]") -> "Mapping[str, object]":
    return {
        "object": "certificate.verdict",
        "ok": all(step.ok for step in steps),
        "steps": [{"name": step.name, "ok": step.ok, "told": step.told} for step in steps],
    }
