"""``tokenbooth lease``: money that gateway processes may spend from memory."""

from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, group
from tokenbooth.cli.output import emit, lines, table

if TYPE_CHECKING:
    from tokenbooth.control.replicas import LeaseView

app = group("lease", "Leases: money that gateway processes may spend from memory.")

US_PER_S = 1_000_000


@app.command("list")
def list_all(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List gateway processes with what they have leased and what running calls hold of it."""
    from tokenbooth.cli.booth import read
    from tokenbooth.control import replicas
    from tokenbooth.core.money import format_nano

    found = read(data_dir, lambda _booth, op, tx: replicas.lease_views(op, tx))
    rows: list[tuple[object, ...]] = [
        (*_replica_cells(view), currency, format_nano(leased_nano), format_nano(held_nano))
        for view in found
        for currency, (leased_nano, held_nano) in replicas.sums(view.shares).items()
    ]
    rows += [(*_replica_cells(view), None, None, None) for view in found if not view.shares]
    emit(
        {"object": "list", "data": [replicas.lease_view_json(view) for view in found]},
        as_json=as_json,
        text=table(("NAME", "EPOCH", "STATE", "SEEN", "CURRENCY", "LEASED", "HELD"), rows),
    )


def _replica_cells(view: "LeaseView") -> tuple[str, int, str, str]:
    state = "living" if view.living else "silent"
    return view.replica.id, view.replica.epoch, state, f"{view.silent_us // US_PER_S} s ago"


@app.command("forfeit")
def forfeit(
    name: Annotated[str, typer.Argument(help="Name of the lost gateway process.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also cut off a process that still lives.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Give the leases of a process whose journal is lost back to the customers.

    What it had served and not booked is the operator's loss, even should it come back.
    """
    from tokenbooth.cli.booth import write
    from tokenbooth.control import replicas
    from tokenbooth.core.money import format_nano

    returned = write(data_dir, lambda _booth, op, tx: replicas.forfeit(op, tx, name, living=force))
    told = [
        f"{share.org} gets {format_nano(share.granted_nano)} {share.currency} back."
        for share in returned
    ]
    emit(
        replicas.forfeit_json(name, returned),
        as_json=as_json,
        text=lines(*(told or [f"The replica {name} had no money leased."])),
    )
