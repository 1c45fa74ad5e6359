"""Serves what ``up`` prepared and tells about it; with ``--once`` makes one call and stops."""

import asyncio
import os
import shutil
import signal
import sys
import time

from tokenbooth.boot import run_server
from tokenbooth.cli.client import BoothClient
from tokenbooth.cli.first_call import make_first_call
from tokenbooth.cli.first_steps import Prepared
from tokenbooth.cli.first_words import call_text, own_name, receipt_json, receipt_text
from tokenbooth.cli.output import emit, lines, stderr
from tokenbooth.control.serving import Serving
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.loop import run_on_fast_loop

READY_WAIT_S = 180
READY_POLL_S = 0.1


def serve_prepared(prepared: Prepared, *, once: bool, as_json: bool) -> None:
    """Returns when the server has stopped. Raises what went wrong after its start."""
    run_on_fast_loop(_serve(prepared, once=once, as_json=as_json))


async def _serve(prepared: Prepared, *, once: bool, as_json: bool) -> None:
    steps: list[asyncio.Task[None]] = []

    async def ready(serving: Serving) -> None:
        steps.append(
            asyncio.create_task(_after_start(prepared, serving, once=once, as_json=as_json))
        )

    await run_server(prepared.settings, ready)
    for step in steps:
        if not step.done():
            step.cancel()
            await asyncio.wait({step})
        elif not step.cancelled():
            step.result()


async def _after_start(prepared: Prepared, serving: Serving, *, once: bool, as_json: bool) -> None:
    client = BoothClient(serving.base_url, prepared.account.secret)
    try:
        await _engine_ready(client, quiet=as_json)
        if once:
            await asyncio.to_thread(_call_once, prepared, client, as_json)
            _stop()
        else:
            _greet(prepared, client, as_json)
    except Problem:
        _stop()
        raise


async def _engine_ready(client: BoothClient, *, quiet: bool) -> None:
    """Raises ENGINE_NOT_READY when the model does not come up in time."""
    console = stderr()
    if not quiet:
        console.print("Loading the model …")
    until = time.monotonic() + READY_WAIT_S
    while not await asyncio.to_thread(client.is_ready):
        if time.monotonic() > until:
            raise Problem(
                Code.ENGINE_NOT_READY, f"The model did not come up within {READY_WAIT_S} s."
            )
        await asyncio.sleep(READY_POLL_S)


def _greet(prepared: Prepared, client: BoothClient, as_json: bool) -> None:
    secret, made = prepared.account.secret, prepared.account.made
    own = own_name(sys.argv[0], shutil.which("tokenbooth"))
    emit(
        {**_document(prepared, client), "api_key": secret},
        as_json=as_json,
        text=lines(
            *((f"Made: {', '.join(made)}.", "") if made else ()),
            *call_text(client.base_url, secret, prepared.model, sys.executable),
            "",
            f"Talk to it: {own} chat {prepared.model}   Stop it: Ctrl-C",
        ),
    )


def _call_once(prepared: Prepared, client: BoothClient, as_json: bool) -> None:
    def show(piece: str) -> None:
        if not as_json:
            sys.stdout.write(piece)
            sys.stdout.flush()

    call = make_first_call(client, prepared.account.secret, prepared.model, show)
    emit(
        {**_document(prepared, client), "call": receipt_json(call)},
        as_json=as_json,
        text=lines("", "", *receipt_text(call)),
    )


def _document(prepared: Prepared, client: BoothClient) -> dict[str, object]:
    return {
        "data_dir": str(prepared.settings.data_dir),
        "base_url": f"{client.base_url}/v1",
        "model": prepared.model,
        "engine": prepared.engine.value,
        "made": list(prepared.account.made),
    }


def _stop() -> None:
    """The server's own way to stop: it drains and releases everything."""
    os.kill(os.getpid(), signal.SIGTERM)
