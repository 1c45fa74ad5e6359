"""One verb: the bytes behind a URL. The only import surface of this noun.

A name is resolved once for each hop, every address is checked, and the connection goes to a checked
address and to nothing else, so that a name that changes its mind meanwhile changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.upstream.wire import Connection
from tokenbooth.media.fetch.rules import next_url, public_of, request_of, too_large, url_of
from tokenbooth.media.fetch.values import FetchBounds, Peer, WebUrl
from tokenbooth.media.fetch.wire import Answer, Connector, Resolver

__all__ = ["Connector", "FetchBounds", "Fetcher", "Peer", "Resolver", "too_large"]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Connect = Callable[[Peer], Awaitable[Connection]]
NO_ANSWER = "The URL's server does not answer."


class Fetcher:
    """``resolve`` and ``connect`` are the only ways out."""

    def __init__(
        self, resolve: Resolve, connect: Connect, bounds: FetchBounds | None = None
    ) -> None:
        self._resolve = resolve
        self._connect = connect
        self._bounds = bounds or FetchBounds()

    async def fetch(self, url: str, bytes_max: int) -> bytes:
        """Raises INVALID_VALUE, MEDIA_UNREACHABLE or MEDIA_TOO_LARGE."""
        for _ in range(1 + self._bounds.redirects_max):
            answer, body = await self._asked(url_of(url), bytes_max)
            if not answer.redirects:
                return body
            url = next_url(url, answer.headers.get("location"))
        raise Problem(
            Code.MEDIA_UNREACHABLE,
            f"The URL redirects more than {self._bounds.redirects_max} times.",
        )

    async def _asked(self, url: WebUrl, bytes_max: int) -> tuple[Answer, bytes]:
        connection = await self._connected(url)
        answer = Answer(bytes_max)
        try:
            async with asyncio.timeout(self._bounds.answer_wait_ms / 1000):
                return answer, await answer.over(connection, request_of(url))
        except TimeoutError as error:
            public = "The URL's server did not send its answer in time."
            raise Problem(Code.MEDIA_UNREACHABLE, public) from error

    async def _connected(self, url: WebUrl) -> Connection:
        wait_s = self._bounds.connect_wait_ms / 1000
        last: OSError | None = None
        try:
            async with asyncio.timeout(wait_s):
                addresses: Sequence[str] = await self._resolve(url.host, url.port)
        except (OSError, UnicodeError):  # a name that does not exist, or is none
            addresses = ()
        for address in public_of(addresses, self._bounds.addresses_max):
            peer = Peer(address, url.port, url.host if url.tls else None)
            try:
                async with asyncio.timeout(wait_s):
                    return await self._connect(peer)
            except OSError as error:  # TimeoutError and every fault of TLS are among them
                last = error
        raise Problem(Code.MEDIA_UNREACHABLE, NO_ANSWER, detail=type(last).__name__) from last
