"""``tokenbooth key``: API keys, their caps and their limits."""

from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, CapPeriod, DataDir, NewCapPeriod, group
from tokenbooth.cli.output import emit, lines, table

app = group("key", "API keys: shown once, capped, rotated, revoked.")

KeyId = Annotated[str, typer.Argument(help="Id of the key, such as key_….")]


@app.command("create")
def create(  # noqa: PLR0913 - one parameter for each option of the command line
    org: Annotated[str, typer.Argument(help="Name or id of the organization.")],
    project: Annotated[str, typer.Option(help="Name or id of the project.")] = "default",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "key",
    cap: Annotated[
        str | None, typer.Option("--cap", "--cap-usd", help="Hard cap on its spending.")
    ] = None,
    cap_period: CapPeriod = "none",
    model: Annotated[
        list[str] | None, typer.Option(help="Allow only this model; may be repeated.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="inference or read; may be repeated. [default: both]")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="30d, or 2026-12-31T23:59:59Z.")] = None,
    rpm: Annotated[int | None, typer.Option(help="Requests per minute.")] = None,
    tpm: Annotated[int | None, typer.Option(help="Tokens per minute.")] = None,
    parallel: Annotated[int | None, typer.Option(help="Calls at the same time.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Create a key. Its secret is shown once, here, and stored nowhere."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import cap_nano, expiry_us, period_of, scopes_of
    from tokenbooth.control import documents, keys
    from tokenbooth.core.caller import CallLimits

    limit_nano, period, scopes = cap_nano(cap), period_of(cap_period), scopes_of(scope)
    minted = write(
        data_dir,
        lambda booth, op, tx: keys.create_key(
            op,
            tx,
            keys.NewKey(
                org=org,
                project=project,
                name=name,
                scopes=scopes,
                models=frozenset(model) if model else None,
                expires_us=expiry_us(expires, op.now()),
                limits=CallLimits(rpm, tpm, parallel),
                cap_nano=limit_nano,
                cap_period=period,
            ),
            booth.mint,
        ),
    )
    emit(
        {**documents.key_json(minted.key), "secret": minted.secret},
        as_json=as_json,
        text=lines(minted.secret, f"Key {minted.key.id}. Keep the secret; it is not shown again."),
    )


@app.command("list")
def list_all(
    org: Annotated[str | None, typer.Option(help="Only this organization's.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List keys with what they have spent; secrets are never shown."""
    from tokenbooth.cli.booth import read
    from tokenbooth.cli.money import limit_cells
    from tokenbooth.control import documents, keys

    found = read(data_dir, lambda _booth, op, tx: keys.keys(op, tx, org))
    emit(
        {"object": "list", "data": [documents.key_line_json(line) for line in found]},
        as_json=as_json,
        text=table(
            ("ID", "NAME", "KEY", "STATE", "CURRENCY", "LEFT", "CAP", "SPENT"),
            [
                (
                    line.key.id,
                    line.key.name,
                    f"{line.key.prefix}…{line.key.last_four}",
                    documents.key_state(line.key),
                    line.currency,
                    *limit_cells(line.limits[0]),
                )
                for line in found
            ],
        ),
    )


@app.command("cap")
def cap(
    key_id: KeyId,
    amount: Annotated[
        str, typer.Argument(help="Hard cap in the organization's currency, or none.")
    ],
    cap_period: NewCapPeriod = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Set or lift the hard cap on a key."""
    from tokenbooth.cli.booth import cap as set_cap
    from tokenbooth.cli.parsing import cap_nano, period_of
    from tokenbooth.control import documents, keys

    nano = cap_nano(amount, "amount")
    period = None if cap_period is None else period_of(cap_period)
    line = set_cap(data_dir, lambda _booth, op, tx: keys.cap_key(op, tx, key_id, nano, period))
    emit(
        documents.key_line_json(line),
        as_json=as_json,
        text=lines(f"Key {key_id}: cap {amount}."),
    )


@app.command("rotate")
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        str, typer.Option(help="How long the old secret still works, such as 24h.")
    ] = "0s",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Give a key a new secret; its id, its cap and what it spent stay."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import span_s
    from tokenbooth.control import documents, keys

    overlap_s = span_s(overlap, "overlap")
    minted = write(
        data_dir,
        lambda booth, op, tx: keys.rotate_key(op, tx, key_id, overlap_s, booth.mint),
    )
    emit(
        {**documents.key_json(minted.key), "secret": minted.secret},
        as_json=as_json,
        text=lines(minted.secret, f"Key {minted.key.id}: the old secret works {overlap} more."),
    )


@app.command("revoke")
def revoke(key_id: KeyId, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Revoke a key; its running streams end within a second."""
    from tokenbooth.cli.booth import write
    from tokenbooth.control import documents, keys

    key = write(data_dir, lambda _booth, op, tx: keys.revoke_key(op, tx, key_id))
    emit(documents.key_json(key), as_json=as_json, text=lines(f"Key {key.id} is revoked."))
