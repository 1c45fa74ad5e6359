"""What ``up`` does before it serves: set up, pull weights, offer the model, find a port."""

import asyncio
import importlib.util
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from tokenbooth.booth import SystemRandomness, open_booth
from tokenbooth.catalog.models.service import EngineKind, ModelAsk
from tokenbooth.catalog.weights.service import known
from tokenbooth.cli.engine import local_engine
from tokenbooth.cli.weights import pull_weights
from tokenbooth.config import LogOptions, Settings, Source, commented_defaults, load_settings
from tokenbooth.control.first_run import FirstAccount, FirstOffer, open_first_account
from tokenbooth.control.instance import InstancePaths
from tokenbooth.control.models import gguf_deployment
from tokenbooth.control.serving import served_already, serving_now
from tokenbooth.control.setup import init_instance
from tokenbooth.control.up_key import keep_up_key, read_up_key
from tokenbooth.core.codes import Code
from tokenbooth.core.money import NANO_PER_UNIT
from tokenbooth.core.problem import Problem
from tokenbooth.engines.choose import install_command
from tokenbooth.money.prices.service import PriceAsk

FIRST_MODEL = "smollm2-135m"
FIRST_PRICE = PriceAsk(FIRST_MODEL, input_pico=100_000, output_pico=400_000)
FIRST_CREDIT_NANO = 5 * NANO_PER_UNIT
ACTOR = "up"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything is in place to serve ``model`` to ``account``."""

    settings: Settings
    account: FirstAccount
    model: str
    engine: EngineKind


def prepare(data_dir: Path | None, host: str | None, port: int | None, *, once: bool) -> Prepared:
    """Idempotent. Raises a Problem with its cure: no engine, no package, served already."""
    loaded = load_settings(data_dir)
    settings = loaded.settings
    serving = serving_now(settings.data_dir)
    if serving is not None:
        raise served_already(settings.data_dir, serving)
    engine = _installed_engine(once=once)
    init_instance(settings.data_dir, settings.store, commented_defaults(), SystemRandomness())
    gguf = pull_weights(FIRST_MODEL, InstancePaths(settings.data_dir).weights)
    account = asyncio.run(_account(settings, engine, gguf))
    if port is None and loaded.origins["edge.port"].source is Source.DEFAULT:
        port = free_port(host or settings.edge.host, settings.edge.port)
    if loaded.origins["log.level"].source is Source.DEFAULT:
        settings = replace(settings, log=LogOptions(format="text", level="warning"))
    return Prepared(settings.listening(host, port), account, FIRST_MODEL, engine)


def _installed_engine(*, once: bool) -> EngineKind:
    """Raises a Problem whose one command installs everything that is missing."""
    missing = ("openai",) if once and importlib.util.find_spec("openai") is None else ()
    engine = local_engine(None, missing)
    if missing:
        raise Problem(
            Code.STATE_CONFLICT,
            f"The package `openai` is missing. Run: {install_command(*missing)}",
        )
    return engine


def free_port(host: str, wanted: int) -> int:
    """``wanted`` when nobody listens there, else 0: the system then chooses one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError:
            return 0
    return wanted


async def _account(settings: Settings, engine: EngineKind, gguf: Path) -> FirstAccount:
    deployment = gguf_deployment(gguf, engine, known(FIRST_MODEL).serving_options)
    offer = FirstOffer(
        ModelAsk(name=FIRST_MODEL, deployments=(deployment,)), FIRST_PRICE, FIRST_CREDIT_NANO
    )
    kept = read_up_key(settings.data_dir)
    async with open_booth(settings) as booth:
        op = booth.op(ACTOR)
        account = await booth.store.write(
            lambda tx: open_first_account(op, tx, offer, kept, booth.mint)
        )
    if account.secret != kept:
        keep_up_key(settings.data_dir, account.secret)
    return account
