"""``tokenbooth mock-upstream``: an OpenAI-compatible far side with delays and faults on demand."""

from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir


def mock_upstream(  # noqa: PLR0913 - one parameter for each option of the command line
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes one.")] = 0,
    model: Annotated[str, typer.Option(help="Name of its model.")] = "mock",
    key: Annotated[str | None, typer.Option(help="Refuse every other key.")] = None,
    chunks: Annotated[int, typer.Option(min=0, help="Pieces of an answer.")] = 16,
    first_delay_ms: Annotated[int, typer.Option(min=0, help="Before the first piece.")] = 0,
    chunk_delay_ms: Annotated[int, typer.Option(min=0, help="Between pieces.")] = 0,
    wire_fault: Annotated[
        str, typer.Option(help="none, status, cut, garbage or no_done.")
    ] = "none",
    fault_after: Annotated[int, typer.Option(min=0, help="Pieces before the fault.")] = 0,
    fault_calls: Annotated[
        int | None, typer.Option(min=0, help="Only this many calls meet it.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Engine option NAME=VALUE; may be repeated.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Serve the scripted engine until stopped; prints {"port": N} on one line, with --json or not.

    It keeps nothing, so --data-dir changes nothing.
    """
    from tokenbooth.cli.parsing import pairs
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem
    from tokenbooth.engines.options import options_from
    from tokenbooth.engines.scripted.values import ScriptOptions
    from tokenbooth.proving.mock_upstream import MockOptions, WireFault, run_mock_upstream

    try:
        fault = WireFault(wire_fault)
    except ValueError as error:
        known = ", ".join(WireFault)
        raise Problem(
            Code.INVALID_VALUE, f"wire-fault must be one of: {known}.", param="wire-fault"
        ) from error
    texts = {
        "chunks": str(chunks),
        "first_delay_ms": str(first_delay_ms),
        "chunk_delay_ms": str(chunk_delay_ms),
        **pairs(option),
    }
    run_mock_upstream(
        port,
        MockOptions(
            script=options_from(ScriptOptions, texts),
            model=model,
            key=key,
            wire_fault=fault,
            fault_calls=fault_calls,
            fault_after_deltas=fault_after,
        ),
    )
