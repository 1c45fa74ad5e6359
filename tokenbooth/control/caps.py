"""Lowering a cap while gateway processes have money under it leased."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.leases import service as leases

T = TypeVar("T")

TRIES_MAX = 40
PAUSE_S = 0.075


async def _a_moment() -> None:
    await asyncio.sleep(PAUSE_S)


async def set_cap(
    store: Store,
    op: Op,
    verb: Callable[[Tx], T],
    pause: Callable[[], Awaitable[None]] = _a_moment,
) -> T:
    """Run ``verb``, which sets a cap, and call back what is leased and unused where it is in the
    way.

    Living processes answer within some hundredths of a second. Raises what ``verb`` raises:
    STATE_CONFLICT at once below what is spent, and after about three seconds below what running
    calls hold or a lost process has leased.
    """
    for _ in range(TRIES_MAX):
        try:
            return await store.write(verb)
        except Problem as problem:
            limit_id = _in_the_way(problem)
            if limit_id is None:
                raise
        await store.write(partial(_recall, op, limit_id))
        await pause()
    return await store.write(verb)


def _in_the_way(problem: Problem) -> str | None:
    """The limit whose leases are, if what is spent alone would fit."""
    match problem.facts:
        case {
            "limit_id": str(limit_id),
            "cap_nano": int(cap_nano),
            "spent_nano": int(spent_nano),
        } if spent_nano <= cap_nano:
            return limit_id
    return None


def _recall(op: Op, limit_id: str, tx: Tx) -> None:
    leases.recall(op, tx, limit_id)
