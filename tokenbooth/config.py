"""One frozen tree of settings, read once from one TOML file and the environment.

Order: built-in default, then ``tokenbooth.toml`` in the data directory, then a variable
``TOKENBOOTH_<SECTION>__<FIELD>``. Unknown names and impossible values are refused by name. Prices,
limits and models are rows in the store, never settings. No other file reads the environment.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, cast, get_type_hints

import msgspec

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.gateway.options import (
    GatewayOptions,
    MediaOptions,
    ReplayOptions,
    ResponseOptions,
    TillOptions,
)
from tokenbooth.store.options import StoreOptions, mask_password
from tokenbooth.workers.options import WorkerOptions

FILE_NAME = "tokenbooth.toml"
VARIABLE_PREFIX = "TOKENBOOTH_"
DATA_DIR_VARIABLE = "TOKENBOOTH_DATA_DIR"
API_KEY_VARIABLE = "TOKENBOOTH_API_KEY"
BASE_URL_VARIABLE = "TOKENBOOTH_BASE_URL"
CONFIG_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """``loopback_only`` hides ``/metrics`` from every other machine."""

    loopback_only: bool = True


@dataclass(frozen=True, slots=True)
class LogOptions:
    """``text`` is for a terminal, ``json`` for a collector."""

    format: Literal["json", "text"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True)
class SafetyOptions:
    """Phrases whose appearance in a turn refuses it."""

    blocked_phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole tree; each room receives only its own section."""

    data_dir: Path
    edge: EdgeOptions = field(default_factory=EdgeOptions)
    gateway: GatewayOptions = field(default_factory=GatewayOptions)
    till: TillOptions = field(default_factory=TillOptions)
    replays: ReplayOptions = field(default_factory=ReplayOptions)
    responses: ResponseOptions = field(default_factory=ResponseOptions)
    media: MediaOptions = field(default_factory=MediaOptions)
    workers: WorkerOptions = field(default_factory=WorkerOptions)
    store: StoreOptions
    metrics: MetricsOptions = field(default_factory=MetricsOptions)
    log: LogOptions = field(default_factory=LogOptions)
    safety: SafetyOptions = field(default_factory=SafetyOptions)

    def listening(
        self, host: str | None, port: int | None, replica: str | None = None
    ) -> "Settings":
        """The same settings with another address or replica, where one is given."""
        edge = replace(
            self.edge,
            host=self.edge.host if host is None else host,
            port=self.edge.port if port is None else port,
        )
        gateway = self.gateway if replica is None else replace(self.gateway, replica=replica)
        return replace(self, edge=edge, gateway=gateway)


@dataclass(frozen=True, slots=True)
class Rule:
    """What one setting means, and the closed range of a number."""

    text: str
    low: int = 0
    high: int = 0


RULES: Mapping[str, Rule] = {
    "edge.host": Rule("Address to listen on; 0.0.0.0 opens the booth to the network."),
    "edge.port": Rule("TCP port; 0 lets the system choose one.", 0, 65535),
    "edge.head_wait_max_s": Rule("Seconds within which a request's head must arrive.", 1, 3600),
    "edge.body_wait_max_s": Rule("Seconds within which a body must arrive.", 1, 3600),
    "edge.keep_alive_s": Rule("Seconds that an idle connection is kept for another call.", 1, 3600),
    "edge.stall_max_s": Rule("Seconds that a reader may take nothing of its answer.", 1, 3600),
    "edge.pressure_high_bytes": Rule("Unsent bytes at which an engine is paused.", 4096, 1 << 26),
    "edge.pressure_low_bytes": Rule("Unsent bytes at which it goes on.", 1024, 1 << 26),
    "edge.calls_max": Rule("Calls answered at once.", 1, 1_000_000),
    "edge.connections_max": Rule("Connections at once, if open files allow.", 1, 1_000_000),
    "edge.bodies_bytes_max": Rule("Bytes of all bodies of open calls together.", 1 << 20, 1 << 40),
    "edge.drain_max_s": Rule("Seconds that running calls get to finish at a stop.", 0, 3600),
    "gateway.body_bytes_max": Rule("Bytes of the largest accepted body.", 1024, 1 << 28),
    "gateway.run_max_s": Rule("Seconds that one call may run.", 1, 86_400),
    "gateway.cancel_wait_max_s": Rule("Seconds that an engine gets to obey a cancel.", 1, 600),
    "gateway.heartbeat_s": Rule("Seconds of silence before a stream says it lives.", 1, 600),
    "gateway.engine_open_wait_max_s": Rule("Seconds that an engine gets to start.", 1, 3600),
    "gateway.replica": Rule("Name of this gateway process among those that share a ledger."),
    "gateway.bookkeeper": Rule("Tell the ledger and sign receipts in a process of its own."),
    "gateway.directory_fresh_ms": Rule("How old a key, model or price may be.", 0, 1000),
    "gateway.directory_stale_max_s": Rule("The same while the database is away.", 0, 3600),
    "workers.revocation_every_ms": Rule("Period of the look for revoked keys.", 50, 900),
    "workers.catalog_every_ms": Rule("Period of the look for changed models.", 50, 60_000),
    "workers.beat_every_ms": Rule("Period of this process's sign of life.", 100, 5000),
    "workers.receipts_every_ms": Rule("Period of the signing of receipts.", 50, 60_000),
    "workers.reconcile_every_s": Rule("Period of the proof of all charges.", 1, 604_800),
    "workers.replays_every_ms": Rule("Period of the deletion of stored answers.", 100, 600_000),
    "replays.kept_s": Rule("Seconds that an idempotency key and its answer stand.", 60, 2_592_000),
    "replays.answer_bytes_max": Rule("Bytes of the largest answer kept.", 0, 1 << 26),
    "replays.answers_bytes_max": Rule("The same of all that are being written.", 0, 1 << 34),
    "responses.kept_s": Rule("Seconds that a stored response is kept.", 60, 315_360_000),
    "responses.response_bytes_max": Rule("Bytes of the largest one, with its input.", 0, 1 << 28),
    "responses.background_calls_max": Rule("Background calls of a project at once.", 0, 10_000),
    "responses.background_bytes_max": Rule("Bytes of events of all of them.", 0, 1 << 34),
    "media.fetch_urls": Rule("Fetch the URLs of images, documents, videos and sounds."),
    "media.parts_max": Rule("Parts of a call that are not text.", 0, 1000),
    "media.part_bytes_max": Rule("Bytes of the largest one.", 1024, 1 << 28),
    "media.call_bytes_max": Rule("Bytes of all of one call, and of what is drawn.", 1024, 1 << 30),
    "media.bytes_max": Rule("The same of all calls together.", 1024, 1 << 36),
    "media.calls_max": Rule("Calls whose media is read at once.", 1, 256),
    "media.wait_max_s": Rule("Seconds within which the media of a call must be read.", 1, 600),
    "media.pixels_max": Rule("Pixels of the largest image.", 1, 1 << 30),
    "media.pages_max": Rule("Pages of the longest document.", 1, 10_000),
    "media.page_images_max": Rule("Pages of a document that a model sees as images.", 0, 1000),
    "media.video_s_max": Rule("Seconds of the longest video.", 1, 36_000),
    "media.frames_max": Rule("Frames of a video that a model sees.", 1, 1000),
    "responses.socket_bytes_max": Rule("Bytes that WebSockets remember together.", 0, 1 << 34),
    "till.block_nano_max": Rule("Nano-units leased ahead; a lost disk costs no more.", 0, 10**15),
    "till.output_step_tokens": Rule("Tokens held for where no limit is stated.", 1, 1 << 20),
    "till.idle_ms": Rule("Milliseconds after which unused leased money goes back.", 100, 3_600_000),
    "till.round_calls_max": Rule("Settled calls told to the ledger at once.", 1, 10_000),
    "till.ship_after_ms": Rule("Milliseconds in which settled calls gather.", 0, 1000),
    "till.money_wait_max_s": Rule("Seconds that a call waits for money to be leased.", 1, 60),
    "till.flush_wait_max_s": Rule("Seconds that a report waits for the newest charges.", 1, 60),
    "till.close_wait_max_s": Rule("Seconds to tell the ledger everything at a stop.", 1, 600),
    "till.idle_every_ms": Rule("Period of the look for unused leases.", 50, 1000),
    "till.recall_every_ms": Rule("Period of the look for leases that others want.", 10, 1000),
    "till.recall_retry_ms": Rule("Period of asking again for recalled money.", 5, 1000),
    "till.retry_after_ms": Rule("Pause between rounds while the database is away.", 50, 10_000),
    "till.progress_tokens": Rule("Delivered tokens after which progress is written.", 1, 1 << 20),
    "till.progress_every_ms": Rule("Milliseconds after which it is written too.", 10, 10_000),
    "till.alert_percents": Rule("Parts of a limit, in percent, whose spending makes an event."),
    "store.url": Rule("sqlite:///<absolute path>, or postgresql://<role>@<host>/<database>."),
    "metrics.loopback_only": Rule("Serve /metrics to this machine only."),
    "log.format": Rule("json or text."),
    "log.level": Rule("debug, info, warning or error."),
    "safety.blocked_phrases": Rule("A turn that contains one of these phrases is refused."),
}


class Source(StrEnum):
    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Origin:
    """``where`` is the file and line, or the variable's name; empty for a default."""

    source: Source
    where: str = ""

    def __str__(self) -> str:
        return f"{self.source} {self.where}".strip()


@dataclass(frozen=True, slots=True)
class Loaded:
    """``origins`` is keyed by ``section.field``."""

    settings: Settings
    origins: Mapping[str, Origin]


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of ``config show``; a password inside a URL is masked."""

    name: str
    value: object
    origin: Origin
    text: str


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What commands that only call a booth over HTTP take from the environment."""

    api_key: str | None
    base_url: str | None


@dataclass(frozen=True, slots=True)
class _Raw:
    """A value as found; ``lax`` lets text stand for numbers, as the environment must."""

    value: object
    origin: Origin
    lax: bool


def data_dir_of(given: Path | None, environ: Mapping[str, str] | None = None) -> Path:
    """The absolute data directory: the option, else the variable, else ``~/.tokenbooth``."""
    variables = os.environ if environ is None else environ
    named = variables.get(DATA_DIR_VARIABLE)
    chosen = given or (Path(named) if named else Path.home() / ".tokenbooth")
    return Path(os.path.abspath(chosen.expanduser()))  # noqa: PTH100 - keeps symbolic links


def variable(name: str) -> str | None:
    """What the environment says of a name that somebody typed."""
    return os.environ.get(name)


def client_settings(environ: Mapping[str, str] | None = None) -> ClientSettings:
    """The key and address of a booth to talk to."""
    variables = os.environ if environ is None else environ
    return ClientSettings(variables.get(API_KEY_VARIABLE), variables.get(BASE_URL_VARIABLE))


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A copy of the environment for a child process, with ``extra`` laid over it."""
    return {**os.environ, **(extra or {})}


def load_settings(data_dir: Path | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read everything once.

    Raises Problem UNKNOWN_FIELD, WRONG_TYPE or INVALID_VALUE, naming the setting and its place.
    """
    variables = os.environ if environ is None else environ
    home = data_dir_of(data_dir, variables)
    raw = {**_from_file(home / FILE_NAME), **_from_environment(variables)}
    origins: dict[str, Origin] = {}
    sections: dict[str, object] = {}
    for name, options in _sections():
        values: dict[str, object] = {}
        for option, hint in _options(options):
            key = f"{name}.{option.name}"
            found = raw.get(key)
            origins[key] = Origin(Source.DEFAULT) if found is None else found.origin
            if found is not None:
                values[option.name] = _checked(key, found, hint)
        sections[name] = _section(name, options, values, home)
    settings = Settings(data_dir=home, **cast("dict[str, Any]", sections))
    return Loaded(settings, origins)


def shown(loaded: Loaded) -> Iterator[Setting]:
    """Every setting with its value and origin, in the order of the tree."""
    for name, options in _sections():
        section = getattr(loaded.settings, name)
        for option, _hint in _options(options):
            key = f"{name}.{option.name}"
            value = getattr(section, option.name)
            shown_value = mask_password(value) if isinstance(value, str) else value
            yield Setting(key, shown_value, loaded.origins[key], RULES[key].text)


def commented_defaults() -> str:
    """A configuration file in which every setting stands, explained and commented out."""
    lines = ["# Settings of this booth. Remove a leading # to change one.", ""]
    for name, options in _sections():
        lines.append(f"[{name}]")
        for option, _hint in _options(options):
            rule = RULES[f"{name}.{option.name}"]
            default = _default(option)
            text = '""' if default is None else _toml_value(default)
            lines += [f"# {rule.text}", f"# {option.name} = {text}", ""]
    return "\n".join(lines)


def _sections() -> Iterator[tuple[str, type[Any]]]:
    hints = get_type_hints(Settings)
    return ((name, hint) for name, hint in hints.items() if name != "data_dir")


def _options(options: type[Any]) -> Iterator[tuple[Field[Any], Any]]:
    hints = get_type_hints(options, include_extras=True)
    return ((option, hints[option.name]) for option in fields(options))


def _section(name: str, options: type[Any], values: dict[str, object], home: Path) -> object:
    if name != "store":
        return options(**values)
    values.setdefault("url", f"sqlite:///{home / 'tokenbooth.db'}")
    store: StoreOptions = options(**values)
    store.check()
    return store


def _default(option: Field[Any]) -> object:
    if option.default is not MISSING:
        return option.default
    return option.default_factory() if option.default_factory is not MISSING else None


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    plain = list(value) if isinstance(value, tuple) else str(value)
    return msgspec.json.encode(plain).decode()


def _from_file(path: Path) -> dict[str, _Raw]:
    try:
        with path.open("rb") as stream:
            content = stream.read(CONFIG_BYTES_MAX + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Problem(Code.INVALID_VALUE, f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > CONFIG_BYTES_MAX:
        raise Problem(Code.INVALID_VALUE, f"{path} is larger than {CONFIG_BYTES_MAX} bytes.")
    try:
        text = content.decode()
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(Code.INVALID_VALUE, f"{path} is not valid TOML: {error}.") from error
    lines = _lines_of(text)
    found: dict[str, _Raw] = {}
    known = dict(_sections())
    for section, table in tree.items():
        place = f"{path.name}:{lines.get(section, 1)}"
        if section not in known:
            raise _unknown(section, place, known)
        if not isinstance(table, dict):
            raise Problem(
                Code.WRONG_TYPE, f"{section} ({place}) must be a table [{section}].", param=section
            )
        names = [option.name for option, _hint in _options(known[section])]
        for name, value in table.items():
            key = f"{section}.{name}"
            place = f"{path.name}:{lines.get(key, lines.get(section, 1))}"
            if name not in names:
                raise _unknown(key, place, names)
            found[key] = _Raw(value, Origin(Source.FILE, place), lax=False)
    return found


def _lines_of(text: str) -> dict[str, int]:
    """The line of each plainly written section and key; the parser itself tells none."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            section = header[1]
            lines.setdefault(section, number)
        elif pair := re.match(r"\s*([\w.-]+)\s*=", line):
            lines.setdefault(f"{section}.{pair[1]}".lstrip("."), number)
    return lines


def _from_environment(variables: Mapping[str, str]) -> dict[str, _Raw]:
    known = {
        f"{VARIABLE_PREFIX}{section}__{option.name}".upper(): f"{section}.{option.name}"
        for section, options in _sections()
        for option, _hint in _options(options)
    }
    found: dict[str, _Raw] = {}
    for variable, text in sorted(variables.items()):
        if not variable.startswith(VARIABLE_PREFIX) or "__" not in variable:
            continue
        if variable not in known:
            raise _unknown(variable, "environment", known)
        value: object = text
        if text.startswith("["):
            try:
                value = msgspec.json.decode(text)
            except msgspec.DecodeError as error:
                raise Problem(
                    Code.WRONG_TYPE, f"{variable} must be a JSON list: {error}.", param=variable
                ) from error
        found[known[variable]] = _Raw(value, Origin(Source.ENVIRONMENT, variable), lax=True)
    return found


def _unknown(name: str, place: str, known: Any) -> Problem:
    listed = ", ".join(sorted(known))
    return Problem(
        Code.UNKNOWN_FIELD, f"{name} ({place}) is not a setting; known: {listed}.", param=name
    )


def _checked(key: str, raw: _Raw, hint: Any) -> object:
    try:
        value: object = msgspec.convert(raw.value, hint, strict=not raw.lax)
    except msgspec.ValidationError as error:
        raise Problem(Code.WRONG_TYPE, f"{key} ({raw.origin}): {error}.", param=key) from error
    rule = RULES[key]
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if numeric and not rule.low <= cast("float", value) <= rule.high:
        raise Problem(
            Code.INVALID_VALUE,
            f"{key} ({raw.origin}) is {value}; it must be from {rule.low} to {rule.high}.",
            param=key,
        )
    if isinstance(value, str) and ("\0" in value or not value.strip()):
        raise Problem(Code.INVALID_VALUE, f"{key} ({raw.origin}) is empty.", param=key)
    return value
