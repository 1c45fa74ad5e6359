"""``tokenbooth model describe``: what a models list says beyond the contract."""

from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.model import Name
from tokenbooth.cli.options import AsJson, DataDir
from tokenbooth.cli.output import emit, lines

if TYPE_CHECKING:
    from tokenbooth.booth import Booth
    from tokenbooth.catalog.cards.service import Card
    from tokenbooth.core.op import Op
    from tokenbooth.core.ports import Tx


def describe(
    name: Name,
    display_name: Annotated[str | None, typer.Option(help="Its name for people.")] = None,
    stage: Annotated[
        str | None, typer.Option(help="private_preview, public_preview, ga or deprecated.")
    ] = None,
    shutdown: Annotated[
        str | None, typer.Option(help="When it ends: a UTC day, a time, or a span such as 90d.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Say this of a model from now on; what is left out is said no longer."""
    from tokenbooth.catalog.cards.service import CardAsk
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import moment_us, stage_of
    from tokenbooth.control import documents, models

    said_stage = None if stage is None else stage_of(stage)

    def work(_booth: "Booth", op: "Op", tx: "Tx") -> "Card":
        ends_us = moment_us(shutdown, op.now(), "shutdown")
        ask = CardAsk(display_name=display_name, stage=said_stage, shutdown_us=ends_us)
        return models.describe_model(op, tx, name, ask)

    card = documents.card_json(write(data_dir, work))
    emit(card, as_json=as_json, text=lines(f"Model {name} is described."))
