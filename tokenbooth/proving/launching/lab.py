"""A booth of a fictional lab: the real store and verbs, on a clock that is set by hand."""

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from tokenbooth.catalog.models import service as catalog
from tokenbooth.catalog.models.service import DeploymentAsk, EngineKind, ModelAsk
from tokenbooth.control import launch_report, launching
from tokenbooth.control.launch_report import Desk, ReadinessAsk
from tokenbooth.core.days import US_PER_DAY
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.launch.evidence import service as evidence
from tokenbooth.launch.evidence.service import Piece
from tokenbooth.launch.gates.service import read_policy
from tokenbooth.launch.readiness.service import Report
from tokenbooth.signing.attestation import Attestation, Finding, attest
from tokenbooth.signing.canonical import canonical
from tokenbooth.signing.keys import SigningKey
from tokenbooth.signing.merkle import sha256
from tokenbooth.store.migrate import migrate
from tokenbooth.store.options import StoreBounds, StoreOptions
from tokenbooth.store.sqlite import sqlite_engine


@dataclass
class SetClock:
    """Shows what it was set to."""

    us: int

    def now_us(self) -> int:
        return self.us

    def monotonic_us(self) -> int:
        return self.us


class Counting:
    """Ids and noise that are the same in every run."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - a simulation
        self._count = 0

    def new(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count:032x}"

    def token_bytes(self, count: int) -> bytes:
        return self._dice.randbytes(count)


@dataclass
class Heard:
    """A log that keeps what was said."""

    lines: list[str] = field(default_factory=list)

    def event(self, name: str, **fields: str | int | bool | None) -> None:
        self.lines.append(name)

    def fault(
        self, name: str, error: BaseException | None = None, **fields: str | int | bool | None
    ) -> None:
        self.lines.append(name)


@dataclass
class Lab:
    """Its verbs run in one writing transaction each, as the commands of an operator do."""

    engine: Engine
    clock: SetClock
    ids: Counting
    log: Heard
    desk: Desk
    home: Path

    def op(self, actor: str = "operator") -> Op:
        return Op(request_id="req_lab", now=self.clock.now_us, log=self.log, actor=actor)

    @contextmanager
    def tx(self) -> Iterator[Tx]:
        with self.engine.begin() as opened:
            yield opened

    def offer(self, name: str, options: Mapping[str, str]) -> catalog.Model:
        """A model on the scripted engine, in place of one of that name."""
        each = DeploymentAsk(engine=EngineKind.SCRIPTED, options=dict(options))
        op = self.op()
        with self.tx() as tx:
            if any(model.name == name for model in catalog.models(op, tx)):
                catalog.remove_model(op, tx, name)
            return catalog.add_model(op, tx, ModelAsk(name=name, deployments=(each,)), self.ids)

    def signed(
        self, model: str, kind: str, body: Mapping[str, object], *, days: int = 30
    ) -> Attestation:
        """A measurement of what is offered now, by the booth's own key, at this moment."""
        now_us = self.clock.now_us()
        finding = Finding(kind, {}, now_us, now_us + days * US_PER_DAY, dict(body))
        with self.tx() as tx:
            return launching.sign_evidence(self.op(), tx, model, finding, self.desk)

    def keep(self, attestation: Attestation) -> Piece:
        with self.tx() as tx:
            return evidence.add(self.op(), tx, attestation.to_json())

    def measured(
        self, model: str, kind: str, body: Mapping[str, object], *, days: int = 30
    ) -> Piece:
        return self.keep(self.signed(model, kind, body, days=days))

    def report(self, ask: ReadinessAsk) -> Report:
        with self.tx() as tx:
            return launch_report.report(self.op(), tx, ask, self.desk)


@contextmanager
def open_lab(
    seed: int, start_us: int, prepare: Callable[[StoreOptions], object] = migrate
) -> Iterator[Lab]:
    """A new booth in a directory that goes away afterwards; ``prepare`` makes its database."""
    with tempfile.TemporaryDirectory(prefix="tokenbooth-lab-") as directory:
        home = Path(directory)
        options = StoreOptions(f"sqlite:///{home / 'tokenbooth.db'}")
        prepare(options)
        engine = sqlite_engine(options, StoreBounds())
        key = SigningKey(sha256(b"a fictional lab %d" % seed))
        desk = Desk(read_policy(launching.shipped_policy()), key)
        try:
            yield Lab(engine, SetClock(start_us), Counting(seed), Heard(), desk, home)
        finally:
            engine.dispose()


def resigned(attestation: Attestation, key: SigningKey, **fields: object) -> Attestation:
    """The same finding with other fields, signed again."""
    found = attestation.finding
    parts: dict[str, object] = {
        "kind": found.kind,
        "subject": found.subject,
        "issued_at_us": found.issued_at_us,
        "expires_at_us": found.expires_at_us,
        "body": found.body,
        **fields,
    }
    return attest(Finding(**parts), key)  # type: ignore[arg-type]


def digest_of(document: object) -> str:
    """SHA-256 of the canonical form."""
    return sha256(canonical(document)).hex()
