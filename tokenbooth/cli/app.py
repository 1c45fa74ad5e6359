"""The command ``tokenbooth``. Heavy modules are loaded by the command that needs them."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from tokenbooth import __version__
from tokenbooth.cli import (
    bench,
    card,
    certify,
    chat,
    cohort,
    config,
    connect,
    doctor,
    drill,
    events,
    evidence,
    init,
    key,
    lease,
    ledger,
    limit,
    migrate,
    mock_upstream,
    model,
    org,
    price,
    project,
    readiness,
    receipt,
    reconcile,
    replay,
    serve,
    simulate,
    stage,
    statement,
    up,
    usage,
)
from tokenbooth.core.problem import Problem

app = typer.Typer(
    name="tokenbooth",
    help="Turns any AI model into a paid, reliable, measured developer API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("up")(up.up)
app.command("chat")(chat.chat)
app.command("connect")(connect.connect)
app.command("init")(init.init)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.add_typer(org.app)
app.add_typer(project.app)
app.add_typer(key.app)
model.app.command("describe")(card.describe)
app.add_typer(model.app)
app.add_typer(price.app)
app.add_typer(stage.app)
app.add_typer(cohort.app)
app.add_typer(evidence.app)
app.command("readiness")(readiness.readiness)
app.command("usage")(usage.usage)
app.add_typer(limit.app)
app.add_typer(ledger.app)
app.add_typer(lease.app)
app.add_typer(receipt.app)
app.add_typer(statement.app)
app.command("reconcile")(reconcile.reconcile)
app.add_typer(events.app)
app.add_typer(config.app)
app.add_typer(certify.app)
app.command("migrate")(migrate.migrate)
app.command("backup")(migrate.backup)
app.command("restore")(migrate.restore)
app.add_typer(drill.app)
app.add_typer(simulate.app)
app.add_typer(replay.app)
app.add_typer(bench.app)
app.command("mock-upstream")(mock_upstream.mock_upstream)


@app.callback(invoke_without_command=True)
def tokenbooth(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Turns any AI model into a paid, reliable, measured developer API."""
    if version:
        sys.stdout.write(f"tokenbooth {__version__}\n")
        raise typer.Exit


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code: 0 done, 1 refused, 2 wrong usage."""
    try:
        app(args=list(arguments), prog_name="tokenbooth")
    except Problem as problem:
        from tokenbooth.cli.output import refuse

        return refuse(problem, as_json="--json" in arguments)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    return 0


def main() -> None:
    """The entry point of the console script."""
    sys.exit(run(sys.argv[1:]))
