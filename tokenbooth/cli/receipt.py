"""``tokenbooth receipt``: proof of what one call cost, and the keys that it is signed with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, Yes, group
from tokenbooth.cli.output import EXIT_REFUSED, emit, lines, table

if TYPE_CHECKING:
    from tokenbooth.booth import Booth
    from tokenbooth.control.verification import Verdict

app = group("receipt", "Signed receipts of calls.")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="A receipt, or a statement of JSON lines.")],
    key: Annotated[
        str | None,
        typer.Option(
            help="The booth's public key: 64 hex digits, a file of them, or the document of"
            " /v1/receipts/keys. Without it, a signature counts whoever made it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute hash, place, signature and amount, without any booth; exit 1 on a difference."""
    from tokenbooth.control.verification import trusted_keys, verdict_json, verify_file

    verdict = verify_file(file, trusted_keys(key))
    emit(verdict_json(verdict), as_json=as_json, text=lines(*_told(verdict)))
    if not verdict.ok:
        raise typer.Exit(EXIT_REFUSED)


@app.command("keys")
def keys(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the public keys that receipts were ever signed with."""
    from tokenbooth.cli.booth import read
    from tokenbooth.control.documents import iso_time
    from tokenbooth.control.receipts import keys_json, public_keys

    own, found = read(
        data_dir,
        lambda booth, op, tx: (own := booth.signer(), public_keys(op, tx, own)),
    )
    rows = [
        (
            line.id,
            line.public.hex(),
            iso_time(line.created_us),
            "current" if line.id == own.key.key_id else "-",
        )
        for line in found
    ]
    heads = ("ID", "PUBLIC KEY", "FIRST USED", "STATE")
    emit(keys_json(found, own), as_json=as_json, text=table(heads, rows))


@app.command("rotate")
def rotate(yes: Yes = False, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Sign with a new key from the next start on; receipts of the old one stay verifiable."""
    from tokenbooth.cli.booth import with_booth
    from tokenbooth.control.receipts_key import rotate_key
    from tokenbooth.core.codes import Code
    from tokenbooth.core.problem import Problem

    if not yes:
        raise Problem(
            Code.STATE_CONFLICT,
            "The old key is gone for good; what it signed stays verifiable. Confirm it with --yes.",
        )

    async def replaced(booth: "Booth") -> str:
        return rotate_key(booth.settings.data_dir, booth.randomness).key.key_id

    key_id = with_booth(data_dir, replaced)
    emit(
        {"object": "receipt_key", "id": key_id},
        as_json=as_json,
        text=lines(f"receipts are signed by key {key_id} once the booth is started again"),
    )


def _told(verdict: "Verdict") -> list[str]:
    told = [
        f"line {bad.line}  {_mark(step.ok)}  {step.name:<9}  {step.told}"
        for bad in verdict.bad_lines
        for step in bad.steps
    ]
    if verdict.bad > len(verdict.bad_lines):
        told.append(f"… and {verdict.bad - len(verdict.bad_lines)} more lines")
    told += [f"{_mark(step.ok)}  {step.name:<9}  {step.told}" for step in verdict.steps]
    count = f" of {verdict.receipts} receipts" if verdict.what == "statement" else ""
    return [*told, f"{verdict.what}{count} {'verified' if verdict.ok else 'NOT VERIFIED'}"]


def _mark(ok: bool) -> str:
    return "ok    " if ok else "FAILED"
