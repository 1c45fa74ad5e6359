"""``tokenbooth bench``: what a promise costs, measured against something else in the same run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

import typer

from tokenbooth.cli.options import AsJson, group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenbooth.proving.drills.play import Progress

app = group("bench", "Benchmarks: what exact money and translation cost.")

Store = Annotated[
    str | None, typer.Option(help="PostgreSQL URL. [default: a SQLite file of its own]")
]
Seconds = Annotated[float, typer.Option(min=0.05, help="How long each turn lasts.")]


@app.callback()
def bench() -> None:
    """Benchmarks: what exact money and translation cost.

    Nothing in a data directory of yours is touched. Exit status 1 when what was measured is not
    exact, so that its times would mean nothing.
    """


@app.command("hot-account")
def hot_account(  # noqa: PLR0913 - one parameter for each option of the command line
    replicas: Annotated[int, typer.Option(min=1, help="Gateway processes.")] = 3,
    callers: Annotated[int, typer.Option(min=1, help="Calls at once in each of them.")] = 32,
    seconds: Seconds = 5.0,
    turns: Annotated[int, typer.Option(min=1, help="Turns of each way.")] = 2,
    http: Annotated[bool, typer.Option(help="Measure through HTTP too.")] = True,
    store: Store = None,
    plot: Annotated[Path | None, typer.Option(help="Write a bar chart to this SVG file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Many gateways on one account: leased money beside a transaction for every request."""
    from tokenbooth.cli.output import write_text
    from tokenbooth.proving.bench.chart import svg
    from tokenbooth.proving.bench.hot_account.bench import run_hot_account
    from tokenbooth.proving.bench.hot_account.plan import HotOptions

    report = _run(
        lambda progress: run_hot_account(
            HotOptions(
                replicas=replicas,
                callers=callers,
                seconds=seconds,
                turns=turns,
                http=http,
                store_url=store,
            ),
            progress,
        )
    )
    if plot is not None:
        write_text(plot, svg(report.chart()))
    _tell(report, as_json=as_json)


@app.command("billing")
def billing(  # noqa: PLR0913 - one parameter for each option of the command line
    seconds: Seconds = 5.0,
    turns: Annotated[int, typer.Option(min=1, help="Turns of each side and load.")] = 4,
    rate: Annotated[int, typer.Option(min=1, help="Calls per second at the fixed rate.")] = 200,
    parallel: Annotated[int, typer.Option(min=1, help="Calls at once in the closed loops.")] = 64,
    store: Store = None,
    free_store: Annotated[
        str | None, typer.Option(help="PostgreSQL URL of the side without money.")
    ] = None,
    bookkeeper: Annotated[
        bool, typer.Option(help="Whether a process of its own tells the ledger.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """The same load with money on and off, in alternation: what billing adds to one call."""
    from tokenbooth.proving.bench.billing.bench import run_billing
    from tokenbooth.proving.bench.billing.plan import BillingOptions

    report = _run(
        lambda progress: run_billing(
            BillingOptions(
                seconds=seconds,
                turns=turns,
                calls_per_s=rate,
                calls_at_once=parallel,
                store_url=store,
                free_store_url=free_store,
                bookkeeper=bookkeeper,
            ),
            progress,
        )
    )
    _tell(report, as_json=as_json)


@app.command("translate")
def translate(
    steps: Annotated[int, typer.Option(min=1, help="Steps of each stream.")] = 10_000,
    windows: Annotated[int, typer.Option(min=1, help="Windows of each dialect.")] = 9,
    as_json: AsJson = False,
) -> None:
    """What one step of a stream costs in each dialect, beside Chat Completions."""
    from tokenbooth.proving.bench.translate import TranslateOptions, run_translate

    options = TranslateOptions(steps=steps, windows=windows)
    _tell(_run(lambda progress: run_translate(options, progress)), as_json=as_json)


@app.command("soak")
def soak(
    minutes: Annotated[int, typer.Option(min=1, help="How long.")] = 30,
    load: Annotated[int, typer.Option(min=1, max=95, help="Percent of the gateway's core.")] = 70,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Data-plane processes.")] = 1,
    as_json: AsJson = False,
) -> None:
    """A long run at a steady load, streams mixed: memory, errors, and the books at its end.

    Needs a C compiler and two cores. Exit status 1 where a call failed, the books are not exact, or
    memory grew by more than 2 percent after minute 5.
    """
    from tokenbooth.cli.output import EXIT_REFUSED
    from tokenbooth.proving.bench.soak import SoakOptions, run_soak

    options = SoakOptions(minutes=minutes, load_percent=load, workers=workers)
    report = _run(lambda progress: run_soak(options, progress))
    _tell(report, as_json=as_json)
    if not report.passed:
        raise typer.Exit(EXIT_REFUSED)


@app.command("admission")
def admission(
    calls: Annotated[int, typer.Option(min=1, help="Calls of each window.")] = 5_000,
    windows: Annotated[int, typer.Option(min=1, help="Windows of each case.")] = 5,
    as_json: AsJson = False,
) -> None:
    """What it costs to decide who starts, with nobody waiting and with many."""
    from tokenbooth.proving.bench.admission import run_admission

    _tell(_run(lambda progress: run_admission(calls, windows, progress)), as_json=as_json)


@app.command("overload")
def overload(
    gguf: Annotated[Path, typer.Option(exists=True, help="Weights for the embedded engine.")],
    seconds: Annotated[int, typer.Option(min=5, help="How long each load lasts.")] = 30,
    places: Annotated[int, typer.Option(min=1, help="Calls that run at once at most.")] = 8,
    as_json: AsJson = False,
) -> None:
    """A real engine under twice the load that it carries: what it keeps of its goodput."""
    from tokenbooth.proving.bench.overload import OverloadOptions, run_overload

    options = OverloadOptions(gguf=gguf, seconds=seconds, places=places)
    _tell(_run(lambda progress: run_overload(options, progress)), as_json=as_json)


@app.command("gateway")
def gateway(  # noqa: PLR0913 - one parameter for each option of the command line
    quick: Annotated[bool, typer.Option(help="Fewer and shorter windows, within 50 s.")] = False,
    peer: Annotated[str | None, typer.Option(help="Measure this gateway too: litellm.")] = None,
    peer_python: Annotated[
        Path | None, typer.Option(help="Python of an environment that has the peer.")
    ] = None,
    gate: Annotated[
        int | None,
        typer.Option(min=0, help="Exit with 1 when a multiple is so many percent over its bound."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=16, help="Measure a second booth with so many workers.")
    ] = 1,
    plot: Annotated[Path | None, typer.Option(help="Write a bar chart to this SVG file.")] = None,
    as_json: AsJson = False,
) -> None:
    """The gateway beside nginx as a plain proxy: CPU, latency, memory and cold start.

    Needs nginx, a C compiler and two cores.
    """
    from dataclasses import replace

    from tokenbooth.cli.output import EXIT_REFUSED, write_text
    from tokenbooth.proving.bench.chart import svg
    from tokenbooth.proving.bench.gateway.bench import run_gateway
    from tokenbooth.proving.bench.gateway.plan import QUICK, GatewayOptions

    chosen = QUICK if quick else GatewayOptions()
    report = _run(
        lambda progress: run_gateway(
            replace(chosen, peer=peer, peer_python=peer_python, gate_percent=gate, workers=workers),
            progress,
        )
    )
    if plot is not None:
        write_text(plot, svg(report.chart()))
    _tell(report, as_json=as_json)
    if report.regressions:
        raise typer.Exit(EXIT_REFUSED)


class _Report(Protocol):
    @property
    def exact(self) -> bool: ...

    def document(self) -> dict[str, object]: ...

    def lines(self) -> "Iterator[str]": ...


R = TypeVar("R", bound=_Report)


def _run(measured: "Callable[[Progress], R]") -> R:
    """Run one benchmark with its progress on a terminal."""
    from tokenbooth.cli.output import step_progress
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem
    from tokenbooth.proving.instance import InstanceFault

    try:
        with step_progress() as progress:
            return measured(progress)
    except ValueError as error:
        raise Problem(Code.INVALID_VALUE, f"{error}.") from error
    except (InstanceFault, TimeoutError) as error:
        raise Problem(Code.STATE_CONFLICT, f"The benchmark could not run: {error}") from error


def _tell(report: _Report, *, as_json: bool) -> None:
    from tokenbooth.cli.output import EXIT_REFUSED, emit, lines

    emit(report.document(), as_json=as_json, text=lines(*report.lines()))
    if not report.exact:
        raise typer.Exit(EXIT_REFUSED)
