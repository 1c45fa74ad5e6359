"""What ``certify`` reaches, writes and tells."""

import json
from collections.abc import Iterator
from pathlib import Path

from tokenbooth.booth import Booth
from tokenbooth.cli.booth import read
from tokenbooth.cli.reach import address_of, key_secret_of
from tokenbooth.config import variable
from tokenbooth.control.certificates import DAY_US, signed
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.proving.certify.caller import Endpoint
from tokenbooth.proving.certify.measure import Ask, Measured
from tokenbooth.proving.certify.report import page
from tokenbooth.signing.merkle import sha256
from tokenbooth.verify.certificates.service import Figures, Step
from tokenbooth.verify.ladder.service import Outcome

CERTIFICATE, REPORT = "certificate.json", "report.html"
FILE_BYTES_MAX = 256 * 2**20


def endpoint_of(
    model: str, url: str | None, key: str | None, key_env: str | None, data_dir: Path | None
) -> Endpoint:
    """Raises INVALID_VALUE for a variable that is not set."""
    if key_env is not None:
        key = variable(key_env)
        if not key:
            raise Problem(Code.INVALID_VALUE, f"{key_env} is not set.", param="key-env")
    if url is not None:
        return Endpoint(url.rstrip("/"), model, key or "")
    address = address_of(None, data_dir).rstrip("/").removesuffix("/v1")
    return Endpoint(f"{address}/v1", model, key_secret_of(key, data_dir))


def write_result(
    measured: Measured, ask: Ask, note: str, days: int, directory: Path, data_dir: Path | None
) -> dict[str, object]:
    """Sign it, write both files, and give what ``--json`` prints."""
    subject = {
        "model": ask.endpoint.model,
        "endpoint": ask.endpoint.base_url,
        "fingerprint": measured.fingerprint,
        "note": note,
    }

    def work(booth: Booth, op: Op, _tx: Tx) -> dict[str, object]:
        return signed(measured.evidence, subject, (op.now(), days * DAY_US), booth.signer().key)

    document = read(data_dir, work)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / CERTIFICATE).write_text(json.dumps(document) + "\n", encoding="utf-8")
        (directory / REPORT).write_text(page(document), encoding="utf-8")
    except OSError as error:
        raise Problem(
            Code.STATE_CONFLICT, f"{directory} cannot be written: {error.strerror}."
        ) from error
    return {**summary(measured), "certificate": str(directory / CERTIFICATE)}


def summary(measured: Measured) -> dict[str, object]:
    figures = measured.figures
    return {
        "object": "certificate",
        "certified": figures.concurrency > 0,
        "concurrency": figures.concurrency,
        "calls_per_ks": figures.calls_per_ks,
        "latency_concurrency": figures.latency_concurrency,
        "latency_calls_per_ks": figures.latency_calls_per_ks,
        "attainment_ppm": figures.attainment.share_ppm,
        "attainment_low_ppm": figures.attainment.low_ppm,
        "first_failing": figures.first_failing,
        "binding": figures.binding,
        "levels": [
            {
                "name": each.level.name,
                "outcome": each.outcome.value,
                "loss_ppm": each.loss_ppm,
                "probes": each.paired.count,
            }
            for each in figures.ladder
        ],
        "margin_ppm": measured.plan.ladder.margin_ppm,
        "calls": figures.calls,
        "took_s": measured.took_s,
        "fingerprint": measured.fingerprint,
    }


def told_result(measured: Measured, directory: Path) -> Iterator[str]:
    figures = measured.figures
    yield _verdict(figures)
    if figures.latency_concurrency != figures.concurrency:
        yield (
            f"  latency alone would allow {_rate(figures.latency_calls_per_ks)} calls a second, "
            f"{figures.latency_concurrency} at once"
        )
    if figures.first_failing:
        yield f"  first to fail: {figures.first_failing} ({figures.binding})"
    if not figures.delay.good:
        late_ms = figures.delay.p99_us // 1000
        yield f"  the generator itself was {late_ms} ms late: measure from a faster machine"
    if limited := figures.statuses.get("status 429", 0):
        yield f"  {limited:,} calls met a limit of the key (429): measure with one that has none"
    margin = measured.plan.ladder.margin_ppm / 10_000
    bad = [each for each in figures.ladder if each.outcome is not Outcome.PASSED]
    held = len(figures.ladder) - len(bad)
    yield f"  answers: {held} of {len(figures.ladder)} levels lose less than {margin:.1f} points"
    for each in bad:
        lost = each.loss_ppm / 10_000
        yield f"    {each.level.name}: {each.outcome.value}, loss {lost:.1f} points"
    yield f"  {figures.calls:,} calls in {measured.took_s} s; written to {directory}"


def read_document(file: Path) -> object:
    """Raises INVALID_VALUE for what is no JSON file."""
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise Problem(Code.INVALID_VALUE, f"{file} is larger than any certificate.")
        return json.loads(file.read_bytes())
    except OSError as error:
        raise Problem(Code.INVALID_VALUE, f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise Problem(Code.INVALID_VALUE, f"{file} is not JSON.") from error


def file_digest(file: Path) -> str:
    """SHA-256 in hex."""
    return sha256(file.read_bytes()).hex()


def told_steps(steps: tuple[Step, ...]) -> Iterator[str]:
    for step in steps:
        yield f"{'ok    ' if step.ok else 'FAILED'}  {step.name:<9}  {step.told}"
    yield f"certificate {'verified' if all(step.ok for step in steps) else 'NOT VERIFIED'}"


def _verdict(figures: Figures) -> str:
    if not figures.concurrency:
        return "Nothing is certified."
    low = figures.attainment.low_ppm / 10_000
    return (
        f"Certified: {_rate(figures.calls_per_ks)} calls a second, {figures.concurrency} at once; "
        f"{figures.attainment.share_ppm / 10_000:.1f} % good (at least {low:.1f} %)"
    )


def _rate(calls_per_ks: int) -> str:
    return f"{calls_per_ks / 1000:.2f}"
