"""The pool: bounded, kept for a while, and whole answers over it."""

import asyncio
import ssl
from typing import Any

import pytest

from tests.support.memory_loop import Call, FarSide, http, http_json, passing, run
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.upstream.pool import Pool
from tokenbooth.engines.upstream.values import UpstreamOptions

MANY = 10**6


def pool_of(url: str = "http://far:8000/v1", **fields: Any) -> Pool:
    return Pool(UpstreamOptions(**{"base_url": url, "model": "m"} | fields))


async def fetched(pool: Pool, timeout_ms: int = 1000, bytes_max: int = MANY) -> Any:
    return await pool.fetch(pool.request("GET", "/x"), timeout_ms, bytes_max)


async def refused(pool: Pool, **limits: int) -> Problem:
    with pytest.raises(Problem) as caught:
        await fetched(pool, **limits)
    return caught.value


def far_of(*answers: bytes) -> FarSide:
    """Answers the calls in turn; the last answer again and again."""
    queue = list(answers)

    def answer(call: Call) -> None:
        call.line.deliver(queue.pop(0) if len(queue) > 1 else queue[0])

    return FarSide(answer)


def test_the_bytes_of_a_call() -> None:
    request = pool_of(key="sk-1").request("POST", "/chat", b'{"a":1}')
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST /v1/chat HTTP/1.1"
    assert body == b'{"a":1}'
    assert {
        "host: far:8000",
        "authorization: Bearer sk-1",
        "content-type: application/json",
        "content-length: 7",
        "accept-encoding: identity",
    } <= set(lines)


def test_a_call_without_body_or_key() -> None:
    request = pool_of("http://far").request("GET", "/models")
    assert request.startswith(b"GET /models HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\n")
    assert b"authorization" not in request
    assert b"content-length" not in request


def test_a_whole_answer_and_its_connection_is_used_again() -> None:
    far = far_of(http_json(200, {"a": 1}), http(418, b"tea"))

    async def work() -> None:
        pool = pool_of()
        first = await fetched(pool)
        second = await fetched(pool)
        assert (first.status, first.body) == (200, b'{"a": 1}')
        assert first.headers["content-type"] == "application/json"
        assert (second.status, second.body) == (418, b"tea")
        await pool.close()

    run(work(), far)
    assert len(far.lines) == 1
    assert far.asked[0][0] == ("far", 8000)
    assert far.asked[0][1]["ssl"] is None


def test_https_verifies_the_name_of_the_host() -> None:
    far = far_of(http(200))

    async def work() -> None:
        pool = pool_of("https://far/v1")
        pool.open()
        await fetched(pool)
        await pool.close()

    run(work(), far)
    asked = far.asked[0]
    assert asked[0] == ("far", 443)
    assert asked[1]["server_hostname"] == "far"
    assert asked[1]["ssl"].verify_mode is ssl.CERT_REQUIRED
    assert asked[1]["ssl"].check_hostname


def test_a_stale_connection_is_replaced_once() -> None:
    far = FarSide()
    far.answer = lambda call: (
        call.line.drop() if len(far.calls) == 2 else call.line.deliver(http(200, b"ok"))
    )

    async def work() -> None:
        pool = pool_of()
        assert (await fetched(pool)).body == b"ok"
        assert (await fetched(pool)).body == b"ok"
        await pool.close()

    run(work(), far)
    assert len(far.calls) == 3
    assert len(far.lines) == 2


def test_a_fresh_connection_that_breaks_is_not_called_twice() -> None:
    far = FarSide(lambda call: call.line.drop())

    async def work() -> Problem:
        pool = pool_of()
        return await refused(pool)

    assert run(work(), far).code is Code.ENGINE_FAILED
    assert len(far.calls) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionRefusedError(), Code.ENGINE_NOT_READY),
        (OSError("no route"), Code.ENGINE_NOT_READY),
        (TimeoutError(), Code.ENGINE_NOT_READY),
        (ssl.SSLCertVerificationError(), Code.UPSTREAM_REJECTED),
    ],
)
def test_nobody_there(error: Exception, code: Code) -> None:
    async def work() -> None:
        pool = pool_of()
        problem = await refused(pool)
        assert problem.code is code
        assert "far" not in problem.public
        # A failed connect gives its place back.
        assert (await refused(pool)).code is code

    run(work(), FarSide(refuse=error))


def test_a_connect_that_takes_too_long() -> None:
    async def work() -> None:
        problem = await refused(pool_of(connect_timeout_ms=100), timeout_ms=60_000)
        assert problem.code is Code.ENGINE_NOT_READY
        assert asyncio.get_running_loop().time() < 1

    run(work(), FarSide(accept_s=5))


def test_an_answer_that_takes_too_long_closes_the_connection() -> None:
    far = FarSide()

    async def work() -> None:
        pool = pool_of()
        assert (await refused(pool, timeout_ms=100)).code is Code.RUN_TIMEOUT
        assert far.lines[0].aborted
        await far.lines[0].lost.wait()
        await pool.close()

    run(work(), far)


def test_an_answer_over_the_limit() -> None:
    far = far_of(http(200, b"x" * 11))

    async def work() -> None:
        pool = pool_of()
        assert (await refused(pool, bytes_max=10)).code is Code.ENGINE_FAILED
        assert (await fetched(pool, bytes_max=11)).status == 200
        await pool.close()

    run(work(), far)


def test_a_malformed_answer() -> None:
    async def work() -> None:
        assert (await refused(pool_of())).code is Code.ENGINE_FAILED

    run(work(), far_of(b"junk\r\n\r\n"))


def test_no_more_connections_than_the_bound() -> None:
    far = FarSide()

    async def work() -> None:
        pool = pool_of(pool_max=2)
        waiting = [asyncio.ensure_future(fetched(pool)) for _ in range(2)]
        while len(far.calls) < 2:
            await asyncio.sleep(0)
        problem = await refused(pool)
        assert problem.code is Code.ENGINE_BUSY
        assert problem.retry_after_s == 1
        for call in far.calls:
            call.line.deliver(http(200))
        await asyncio.gather(*waiting)
        assert (await asyncio.wait_for(answer_next(pool), 5)).status == 200
        await pool.close()

    async def answer_next(pool: Pool) -> Any:
        far.answer = lambda call: call.line.deliver(http(200))
        return await fetched(pool)

    run(work(), far)
    assert len(far.lines) == 2


def test_a_connection_being_made_counts() -> None:
    async def work() -> None:
        pool = pool_of(pool_max=1)
        first = asyncio.ensure_future(fetched(pool))
        await asyncio.sleep(0)
        assert (await refused(pool)).code is Code.ENGINE_BUSY
        await first
        await pool.close()

    far = far_of(http(200))
    far.accept_s = 0.05
    run(work(), far)


def test_free_connections_are_closed_after_a_while() -> None:
    far = far_of(http(200))

    async def work() -> None:
        pool = pool_of(pool_idle_ms=1_000)
        await fetched(pool)
        await passing(0.5)
        assert not far.lines[0].aborted
        await fetched(pool)
        await passing(0.8)
        assert not far.lines[0].aborted
        await passing(2)
        assert far.lines[0].aborted
        await fetched(pool)
        await pool.close()

    run(work(), far)
    assert len(far.lines) == 2


def test_a_free_connection_that_the_server_closes_is_forgotten() -> None:
    far = far_of(http(200))

    async def work() -> None:
        pool = pool_of(pool_max=1)
        await fetched(pool)
        far.lines[0].drop()
        await far.lines[0].lost.wait()
        assert pool.take() is None
        assert (await fetched(pool)).status == 200
        await pool.close()

    run(work(), far)
    assert len(far.lines) == 2


def test_a_free_connection_that_is_closing_is_not_taken() -> None:
    far = far_of(http(200))

    async def work() -> None:
        pool = pool_of()
        await fetched(pool)
        far.lines[0].drop()
        assert pool.take() is None
        await pool.close()

    run(work(), far)


def test_the_connection_freed_last_is_taken_first() -> None:
    far = FarSide()

    async def work() -> None:
        pool = pool_of()
        both = [asyncio.ensure_future(fetched(pool)) for _ in range(2)]
        while len(far.calls) < 2:
            await asyncio.sleep(0)
        far.calls[1].line.deliver(http(200))
        far.calls[0].line.deliver(http(200))
        await asyncio.gather(*both)
        far.answer = lambda call: call.line.deliver(http(200))
        await fetched(pool)
        assert far.calls[2].line is far.calls[0].line
        await pool.close()

    run(work(), far)


def test_close_breaks_what_runs_and_leaves_nothing_open() -> None:
    far = FarSide()

    async def work() -> None:
        pool = pool_of()
        waiting = asyncio.ensure_future(refused(pool))
        while not far.calls:
            await asyncio.sleep(0)
        await pool.close()
        assert far.lines[0].lost.is_set()
        assert (await waiting).code is Code.ENGINE_FAILED
        await pool.close()

    run(work(), far)


def test_close_does_not_wait_for_ever_for_a_transport() -> None:
    far = FarSide()

    async def work() -> None:
        pool = pool_of()
        waiting = asyncio.ensure_future(refused(pool))
        while not far.calls:
            await asyncio.sleep(0)
        far.lines[0].drop = lambda error=None: None  # type: ignore[method-assign]
        await pool.close()
        await waiting

    run(work(), far)


def test_a_cancelled_fetch_closes_its_connection() -> None:
    far = FarSide()

    async def work() -> None:
        pool = pool_of()
        waiting = asyncio.ensure_future(fetched(pool))
        while not far.calls:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert far.lines[0].aborted
        await pool.close()

    run(work(), far)


class Deaf:
    """An exchange that does not care."""

    def head(self, status: int, headers: Any) -> None: ...

    def body(self, chunk: bytes) -> None: ...

    def done(self) -> None: ...

    def broken(self, cause: object) -> None: ...


def test_a_finished_fetch_leaves_its_connection_to_the_next_taker() -> None:
    far = FarSide()

    async def work() -> None:
        pool = pool_of()
        waiting = asyncio.ensure_future(fetched(pool))
        while not far.calls:
            await asyncio.sleep(0)
        far.lines[0].deliver(http(200))
        # The answer is in, its reader has not run yet, and somebody else takes the connection.
        connection = pool.take()
        assert connection is not None
        connection.send(pool.request("GET", "/y"), Deaf())
        assert (await waiting).status == 200
        assert connection.usable
        await pool.close()

    run(work(), far)
