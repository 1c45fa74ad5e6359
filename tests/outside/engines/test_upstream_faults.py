"""The upstream engine against a real server process that misbehaves, and over real TLS."""

import asyncio
import contextlib
import datetime as dt
import json
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.outside.engines.lineup import mock_port
from tests.support.turns import Recorder, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.engines.scripted import Fault, ScriptOptions
from tokenbooth.engines.upstream import UpstreamEngine, UpstreamOptions
from tokenbooth.proving.mock_upstream import MockOptions, MockUpstream

Scene = Callable[[UpstreamEngine], Awaitable[Any]]
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


def play(port: int, scene: Scene, loop: Any = asyncio.new_event_loop, **fields: Any) -> Any:
    async def work() -> Any:
        options = UpstreamOptions(
            **{"base_url": f"http://127.0.0.1:{port}/v1", "model": "far-model"} | fields
        )
        engine = UpstreamEngine(options)
        await engine.open()
        try:
            return await scene(engine)
        finally:
            await engine.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(work())


async def ended(engine: UpstreamEngine, text: str = "hi", **fields: Any) -> Recorder:
    recorder = Recorder()
    engine.start(turn_of(text, **fields), recorder)
    return await recorder.over()


def state(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/mock/state", timeout=5) as answer:
        found: dict[str, int] = json.load(answer)
    return found


def code_of(recorder: Recorder) -> Code:
    assert recorder.problem is not None
    return recorder.problem.code


@pytest.fixture(scope="module")
def obedient() -> Iterator[int]:
    """A mock that does what the prompt orders."""
    with mock_port(script=ScriptOptions(chunks=32, turn_commands=True)) as port:
        yield port


@pytest.mark.parametrize("loop", LOOPS)
def test_a_hang_up_reaches_the_server(obedient: int, loop: Any) -> None:
    before = state(obedient)["cancelled"]

    async def scene(engine: UpstreamEngine) -> None:
        recorder = Recorder()
        going = engine.start(turn_of("[script fault=hang fault_after_chunks=3]"), recorder)
        await recorder.until(lambda r: len(r.deltas) == 3)
        going.cancel()
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.cancelled
        async with asyncio.timeout(5):
            while (await asyncio.to_thread(state, obedient))["cancelled"] == before:
                await asyncio.sleep(0)

    play(obedient, scene, loop)
    assert state(obedient)["running"] == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_slow_reader_is_felt_by_the_server_and_loses_nothing(obedient: int, loop: Any) -> None:
    async def scene(engine: UpstreamEngine) -> None:
        recorder = Recorder()
        going = engine.start(turn_of("[script chunks=60000 context_tokens=100000]"), recorder)
        await recorder.until(lambda r: len(r.deltas) >= 1)
        going.pause()
        held = len(recorder.deltas)
        # Other calls are the proof that time passes; the server is still running the first.
        for _ in range(3):
            assert (await ended(engine)).end is not None
        assert len(recorder.deltas) == held
        assert (await asyncio.to_thread(state, obedient))["running"] >= 1
        going.resume()
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.usage is not None
        words = len(recorder.text().split())
        assert words == recorder.end.usage.output_tokens == 60_000

    play(obedient, scene, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_many_runs_share_few_connections(obedient: int, loop: Any) -> None:
    before = state(obedient)["connections"]

    async def scene(engine: UpstreamEngine) -> None:
        for _ in range(10):
            batch = await asyncio.gather(*(ended(engine) for _ in range(8)))
            assert all(recorder.end is not None for recorder in batch)

    play(obedient, scene, loop)
    assert state(obedient)["connections"] - before <= 8 + 2


@pytest.mark.parametrize(
    ("command", "code", "heard"),
    [
        ("[script fault=fail]", Code.ENGINE_FAILED, 0),
        ("[script fault=fail fault_after_chunks=4]", Code.ENGINE_FAILED, 4),
        ("[script chunks=nonsense]", Code.INVALID_VALUE, 0),
        ("word " * 9_000, Code.CONTEXT_LENGTH_EXCEEDED, 0),
    ],
)
def test_failures_of_the_far_engine(obedient: int, command: str, code: Code, heard: int) -> None:
    async def scene(engine: UpstreamEngine) -> Recorder:
        return await ended(engine, command)

    recorder = play(obedient, scene)
    assert code_of(recorder) is code
    assert len(recorder.deltas) == heard


def test_a_far_engine_that_hangs_is_timed_out(obedient: int) -> None:
    async def scene(engine: UpstreamEngine) -> None:
        assert code_of(await ended(engine, "[script fault=hang]")) is Code.RUN_TIMEOUT
        late = await ended(engine, "[script fault=hang fault_after_chunks=2]")
        assert code_of(late) is Code.RUN_TIMEOUT
        assert len(late.deltas) == 2

    play(obedient, scene, first_byte_timeout_ms=300, idle_timeout_ms=200)


@pytest.mark.parametrize(
    ("fault", "code", "heard"),
    [
        ({"wire_fault": "cut", "fault_after_deltas": 3}, Code.ENGINE_FAILED, 3),
        ({"wire_fault": "garbage", "fault_after_deltas": 3}, Code.ENGINE_FAILED, 3),
        ({"wire_fault": "status", "fault_status": 500}, Code.ENGINE_FAILED, 0),
        ({"wire_fault": "status", "fault_status": 429}, Code.ENGINE_BUSY, 0),
        ({"wire_fault": "status", "fault_status": 401}, Code.UPSTREAM_REJECTED, 0),
        ({"key": "another"}, Code.UPSTREAM_REJECTED, 0),
    ],
)
def test_faults_on_the_wire(fault: dict[str, Any], code: Code, heard: int) -> None:
    async def scene(engine: UpstreamEngine) -> Recorder:
        return await ended(engine)

    with mock_port(script=ScriptOptions(chunks=8), **fault) as port:
        recorder = play(port, scene, key="sk-ours")
    assert code_of(recorder) is code
    assert len(recorder.deltas) == heard


def test_a_fault_passes_and_the_engine_goes_on() -> None:
    async def scene(engine: UpstreamEngine) -> None:
        assert code_of(await ended(engine)) is Code.ENGINE_FAILED
        assert (await ended(engine)).end is not None

    with mock_port(wire_fault="cut", fault_calls=1) as port:
        play(port, scene)


def test_a_stream_without_done_is_whole() -> None:
    async def scene(engine: UpstreamEngine) -> Recorder:
        return await ended(engine)

    with mock_port(wire_fault="no_done") as port:
        recorder = play(port, scene)
    assert recorder.end is not None
    assert recorder.end.usage is not None


def test_a_server_that_dies_fails_its_runs_and_is_not_ready() -> None:
    async def scene(engine: UpstreamEngine, close: Callable[[], Any]) -> None:
        recorder = Recorder()
        engine.start(turn_of(), recorder)
        await recorder.until(lambda r: len(r.deltas) == 2)
        await asyncio.to_thread(close)
        await recorder.over()
        assert code_of(recorder) is Code.ENGINE_FAILED
        assert not (await engine.health()).ready
        assert code_of(await ended(engine)) is Code.ENGINE_NOT_READY

    script = ScriptOptions(fault=Fault.HANG, fault_after_chunks=2)
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(mock_port(script=script))
        play(port, lambda engine: scene(engine, stack.close))


def certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "far side")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = directory / "cert.pem", directory / "key.pem"
    cert_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file


@pytest.mark.parametrize("loop", LOOPS)
def test_over_tls(tmp_path: Path, loop: Any) -> None:
    cert_file, key_file = certificate(tmp_path)

    async def work() -> None:
        mock = MockUpstream(MockOptions(script=ScriptOptions(chunks=300)))
        await mock.open()
        config = uvicorn.Config(
            mock,
            port=0,
            lifespan="off",
            log_level="critical",
            ssl_certfile=str(cert_file),
            ssl_keyfile=str(key_file),
        )
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve())
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"https://127.0.0.1:{port}/v1"

        trusting = UpstreamEngine(UpstreamOptions(url, "m", ca_file=str(cert_file)))
        await trusting.open()
        recorder = Recorder()
        going = trusting.start(turn_of(), recorder)
        await recorder.until(lambda r: len(r.deltas) >= 3)
        going.pause()
        await asyncio.sleep(0)
        going.resume()
        await recorder.over()
        assert len(recorder.text().split()) == 300
        cut = Recorder()
        cut.on_delta = lambda _: again.cancel()
        again = trusting.start(turn_of(), cut)
        await cut.over()
        assert cut.end is not None
        assert cut.end.cancelled
        await trusting.close()

        doubting = UpstreamEngine(UpstreamOptions(url, "m"))
        await doubting.open()
        refused = await ended(doubting)
        assert code_of(refused) is Code.UPSTREAM_REJECTED
        assert not (await doubting.health()).ready
        await doubting.close()

        server.should_exit = True
        await serving
        await mock.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(work())
