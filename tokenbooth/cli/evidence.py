"""``tokenbooth evidence``: signed measurements that gates are judged by."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.launch_desk import desk_of
from tokenbooth.cli.options import AsJson, DataDir, group
from tokenbooth.cli.output import emit, lines, table

if TYPE_CHECKING:
    from tokenbooth.booth import Booth
    from tokenbooth.core.op import Op
    from tokenbooth.core.ports import Tx
    from tokenbooth.launch.evidence.service import Piece

app = group("evidence", "Signed measurements that gates are judged by; nothing is ever deleted.")

FILE_BYTES_MAX = 8_000_000
File = Annotated[Path, typer.Argument(help="A file with one JSON document.")]


@app.command("add")
def add(
    file: File,
    model: Annotated[
        str | None, typer.Option(help="Of which model, if a certificate names it otherwise.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Keep an attestation; whether it counts is judged each time that it is asked for. What a
    capacity certificate says is verified, and becomes evidence of capacity and of quality."""
    from tokenbooth.cli.booth import write
    from tokenbooth.control import launch_certificate
    from tokenbooth.launch.evidence import service as evidence

    document = _document(file)

    def work(booth: "Booth", op: "Op", tx: "Tx") -> "tuple[Piece, ...]":
        if launch_certificate.is_certificate(document):
            desk = desk_of(booth)
            return launch_certificate.add_certificate(op, tx, document, model, desk)
        return (evidence.add(op, tx, document),)

    _said(*write(data_dir, work), as_json=as_json)


@app.command("sign")
def sign(  # noqa: PLR0913 - one parameter for each option of the command line
    file: File,
    kind: Annotated[str, typer.Option(help="What was measured, such as billing/1.")],
    model: Annotated[str, typer.Option(help="Of which model, as it is offered now.")],
    valid: Annotated[str, typer.Option(help="How long it counts, such as 30d.")] = "30d",
    capability: Annotated[str, typer.Option(help="Of this capability alone.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Sign a measurement with the booth's own key, and keep it: FILE holds its figures."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import US_PER_S, span_s
    from tokenbooth.control import launching
    from tokenbooth.control.launch_report import CAPABILITY
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem
    from tokenbooth.launch.evidence import service as evidence
    from tokenbooth.signing.attestation import Finding

    body = _document(file)
    if not isinstance(body, dict):
        raise Problem(Code.INVALID_VALUE, f"{file} holds no JSON object.", param="file")
    counts_us = span_s(valid, "valid") * US_PER_S

    def work(booth: "Booth", op: "Op", tx: "Tx") -> "Piece":
        now_us = op.now()
        finding = Finding(
            kind=kind,
            subject={CAPABILITY: capability} if capability else {},
            issued_at_us=now_us,
            expires_at_us=now_us + counts_us,
            body=body,
        )
        signed = launching.sign_evidence(op, tx, model, finding, desk_of(booth))
        return evidence.add(op, tx, signed.to_json())

    _said(write(data_dir, work), as_json=as_json)


@app.command("list")
def list_all(
    model: Annotated[str | None, typer.Option(help="Of this model alone.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List evidence, the newest first."""
    from tokenbooth.cli.booth import read
    from tokenbooth.control.launch_documents import piece_json
    from tokenbooth.launch.evidence import service as evidence

    found = read(data_dir, lambda _booth, op, tx: evidence.pieces(op, tx, model))
    rows = [piece_json(each) for each in found]
    cells = [
        (
            each.digest[:16],
            each.kind,
            each.model,
            row["issued_at"],
            row["expires_at"],
            row["revoked_why"],
        )
        for each, row in zip(found, rows, strict=True)
    ]
    heads = ("DIGEST", "KIND", "MODEL", "ISSUED", "EXPIRES", "REVOKED")
    emit({"object": "list", "data": rows}, as_json=as_json, text=table(heads, cells))


@app.command("revoke")
def revoke(
    digest: Annotated[str, typer.Argument(help="Its digest, or the first digits of it.")],
    reason: Annotated[str, typer.Option(help="Why it does not count any more.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Take evidence back; what stands on it goes one stage back within seconds."""
    from tokenbooth.cli.booth import write
    from tokenbooth.launch.evidence import service as evidence

    piece = write(data_dir, lambda _booth, op, tx: evidence.revoke(op, tx, digest, reason))
    _said(piece, as_json=as_json)


def _document(file: Path) -> object:
    from tokenbooth.cli.parsing import file_bytes
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem

    raw = file_bytes(file, FILE_BYTES_MAX)
    try:
        return json.loads(raw) if len(raw) <= FILE_BYTES_MAX else None
    except (ValueError, RecursionError) as error:
        raise Problem(Code.INVALID_VALUE, f"{file} holds no JSON.", param="file") from error


def _said(*pieces: "Piece", as_json: bool) -> None:
    from tokenbooth.control.launch_documents import piece_json

    texts = []
    for piece in pieces:
        state = "stands" if piece.revoked_us is None else f"is revoked: {piece.revoked_why}"
        texts.append(f"Evidence {piece.digest[:16]} ({piece.kind}, {piece.model}) {state}.")
    shown = [piece_json(each) for each in pieces]
    several = {"object": "list", "data": shown}
    emit(shown[0] if len(shown) == 1 else several, as_json=as_json, text=lines(*texts))
