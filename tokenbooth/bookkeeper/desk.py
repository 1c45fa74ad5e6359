"""The bookkeeper's own end: books what it is given and signs receipts, while its gateway lives."""

import asyncio
import socket
from collections.abc import Callable

from tokenbooth.bookkeeper.frames import (
    Look,
    Question,
    Recalls,
    Reply,
    done_of,
    encode,
    question_decoder,
    read_body,
    refused_of,
)
from tokenbooth.booth import open_booth
from tokenbooth.config import Settings
from tokenbooth.core.op import Op
from tokenbooth.gateway.books import Books, StoreBooks
from tokenbooth.workers.loop import Workers
from tokenbooth.workers.receipts import ReceiptSigning


async def keep_books(settings: Settings, link: socket.socket) -> None:
    """Returns when the gateway's end of ``link`` is closed; what was begun is finished first.

    Raises STATE_CONFLICT when the data directory was not set up.
    """
    link.settimeout(0)
    reader, writer = await asyncio.open_unix_connection(sock=link)
    async with open_booth(settings) as booth:
        signing = ReceiptSigning(booth.store, booth.signer(), lambda: booth.op("worker"))
        workers = Workers((signing.loop(settings.workers.receipts_every_ms),), booth.log)
        workers.start()
        try:
            books = StoreBooks(booth.store, settings.till.alert_percents)
            await answer_all(books, lambda: booth.op("till"), reader, writer)
        finally:
            await workers.stop()
            writer.transport.abort()


async def answer_all(
    books: Books,
    new_op: Callable[[], Op],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Answer one question after the other until nobody asks any more."""
    while True:
        try:
            question = question_decoder.decode(await read_body(reader))
        except (EOFError, OSError):
            return
        writer.write(encode(await _answer(books, new_op(), question)))


async def _answer(books: Books, op: Op, question: Question) -> Reply:
    try:
        if isinstance(question, Look):
            return Recalls(await books.recalled(op, question.replica_id))
        return done_of(await books.book(op, question.ask))
    except Exception as error:  # noqa: BLE001  relayed to the gateway, which knows what to do
        return refused_of(error)
