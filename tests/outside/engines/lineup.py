"""Every engine that the contract is run against. Adding an engine is adding a line to LINEUP."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

from tests.support.weights import smollm2
from tokenbooth.core.features import Feature
from tokenbooth.engines.embedded.engine import EmbeddedEngine
from tokenbooth.engines.embedded.values import EmbeddedOptions
from tokenbooth.engines.llamacpp.engine import LlamacppEngine
from tokenbooth.engines.llamacpp.values import LlamacppOptions
from tokenbooth.engines.port import Engine
from tokenbooth.engines.scripted import ScriptedEngine, ScriptOptions
from tokenbooth.engines.scripted.values import SCRIPTED_FEATURES
from tokenbooth.engines.upstream import UpstreamEngine, UpstreamOptions

MakeEngine = Callable[[], Engine]


@dataclass(frozen=True)
class Entry:
    """One engine under test.

    ``serving`` sets up what lies behind the engine and gives a maker of unopened engines.
    ``deltas_add_up``: the tokens of a finished run's deltas are exactly its usage; where False they
    may be fewer. ``too_long_words`` short words do not fit the context window.
    """

    name: str
    serving: Callable[[], AbstractContextManager[MakeEngine]]
    deltas_add_up: bool = True
    too_long_words: int = 9_000


SCRIPT = ScriptOptions(chunks=48, cached_tokens=4)


@contextlib.contextmanager
def scripted() -> Iterator[MakeEngine]:
    yield lambda: ScriptedEngine(SCRIPT)


@contextlib.contextmanager
def scripted_bare() -> Iterator[MakeEngine]:
    """An engine that can do nothing but talk."""
    yield lambda: ScriptedEngine(ScriptOptions(chunks=48, features=frozenset()))


@contextlib.contextmanager
def mock_port(**fields: object) -> Iterator[int]:
    """The port of a mock upstream in a process of its own; ``fields`` are of MockOptions."""
    program = (
        "import json, sys, msgspec\n"
        "from tokenbooth.proving.mock_upstream import MockOptions, run_mock_upstream\n"
        "run_mock_upstream(0, msgspec.convert(json.loads(sys.argv[1]), MockOptions))\n"
    )
    script = asdict(fields.pop("script", SCRIPT))  # type: ignore[call-overload]
    script["features"] = sorted(script["features"])
    command = [sys.executable, "-c", program, json.dumps({"script": script, **fields})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["port"]
        finally:
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def upstream() -> Iterator[MakeEngine]:
    features = SCRIPTED_FEATURES | {Feature.CACHED_TOKENS}
    with mock_port() as port:
        options = UpstreamOptions(f"http://127.0.0.1:{port}/v1", "far-model", features=features)
        yield lambda: UpstreamEngine(options)


@contextlib.contextmanager
def embedded() -> Iterator[MakeEngine]:
    options = EmbeddedOptions(str(smollm2()))
    yield lambda: EmbeddedEngine(options)


@contextlib.contextmanager
def llamacpp() -> Iterator[MakeEngine]:
    # One thread: on a shared machine llama.cpp's threads wait for each other by spinning.
    options = LlamacppOptions(str(smollm2()), slots=4, context_tokens=1024, threads=1)
    yield lambda: LlamacppEngine(options)


LINEUP = [
    Entry("scripted", scripted),
    Entry("scripted-bare", scripted_bare),
    Entry("upstream", upstream),
    Entry("embedded", embedded),
    Entry("llamacpp", llamacpp, too_long_words=1_100),
]
