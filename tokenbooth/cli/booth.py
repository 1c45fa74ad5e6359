"""Opens the instance that a command works on."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from tokenbooth.booth import Booth, open_booth
from tokenbooth.config import load_settings
from tokenbooth.control import caps
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx

T = TypeVar("T")

ACTOR = "operator"


def with_booth(data_dir: Path | None, work: Callable[[Booth], Awaitable[T]]) -> T:
    """Run ``work`` in the instance of ``data_dir``.

    Raises STATE_CONFLICT without an instance, or for the schema of another program.
    """
    settings = load_settings(data_dir).settings

    async def run() -> T:
        async with open_booth(settings) as booth:
            return await work(booth)

    return asyncio.run(run())


def read(data_dir: Path | None, verb: Callable[[Booth, Op, Tx], T]) -> T:
    """Run one verb in one reading transaction."""
    return with_booth(
        data_dir, lambda booth: booth.store.read(lambda tx: verb(booth, booth.op(ACTOR), tx))
    )


def cap(data_dir: Path | None, verb: Callable[[Booth, Op, Tx], T]) -> T:
    """Run a verb that sets a cap; what is leased and unused is called back first, if need be."""

    async def work(booth: Booth) -> T:
        op = booth.op(ACTOR)
        return await caps.set_cap(booth.store, op, lambda tx: verb(booth, op, tx))

    return with_booth(data_dir, work)


def write(data_dir: Path | None, verb: Callable[[Booth, Op, Tx], T]) -> T:
    """Run one verb in one writing transaction."""
    return with_booth(
        data_dir, lambda booth: booth.store.write(lambda tx: verb(booth, booth.op(ACTOR), tx))
    )
