"""Models: what can be offered, and one turn through an engine without money."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.ops import CountingIds, ManualClock
from tests.unit.control.conftest import Noise
from tokenbooth.catalog.models import service as catalog
from tokenbooth.catalog.models.service import DeploymentAsk, EngineKind, ModelAsk
from tokenbooth.control import documents, models, prices
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import AnswerKind, Fault, ScriptOptions
from tokenbooth.money.prices.service import PriceAsk

SEALING_KEY = b"s" * 32


def ask(*deployments: DeploymentAsk) -> ModelAsk:
    return ModelAsk(name="m", deployments=deployments or (models.scripted_deployment(),))


def test_weights_must_be_a_gguf_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.gguf", tmp_path / "b.gguf"
    good.write_bytes(b"GGUF\x03rest")
    bad.write_bytes(b"PK\x03\x04")
    deployment = models.gguf_deployment(good, EngineKind.EMBEDDED)
    assert deployment.gguf_path == str(good)
    for path in (bad, tmp_path / "none.gguf", tmp_path):
        with pytest.raises(Problem) as caught:
            models.gguf_deployment(path, EngineKind.EMBEDDED)
        assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "gguf")


def test_an_upstream_key_is_sealed_before_it_goes_anywhere() -> None:
    seal = models.Seal(SEALING_KEY, Noise())
    deployment = models.upstream_deployment("http://up:1/v1", "big", "sk-secret", seal)
    assert deployment.upstream_key_sealed is not None
    assert b"sk-secret" not in deployment.upstream_key_sealed
    assert catalog.unseal(deployment.upstream_key_sealed, SEALING_KEY) == b"sk-secret"


def test_an_upstream_needs_no_key() -> None:
    seal = models.Seal(SEALING_KEY, Noise())
    assert models.upstream_deployment("http://up/v1", None, None, seal).upstream_key_sealed is None


def test_a_model_is_listed_with_its_price_once_it_has_one(op: Op, tx: Tx, ids: CountingIds) -> None:
    assert models.add_model(op, tx, ask(), ids).price is None
    prices.price_model(op, tx, PriceAsk("m", 1, 2), ids, confirmed=False)
    (line,) = models.models(op, tx)
    assert line == models.model_line(op, tx, "m")
    assert line.price is not None


def test_a_model_that_comes_back_keeps_its_price(op: Op, tx: Tx, ids: CountingIds) -> None:
    models.add_model(op, tx, ask(), ids)
    published = prices.price_model(op, tx, PriceAsk("m", 1, 2), ids, confirmed=False)
    models.remove_model(op, tx, "m")
    assert models.models(op, tx) == ()
    assert models.add_model(op, tx, ask(), ids).price == published


def test_an_unknown_model_is_named(op: Op, tx: Tx) -> None:
    for verb in (models.remove_model, models.model_line):
        with pytest.raises(Problem) as caught:
            verb(op, tx, "nothing")
        assert caught.value.code is Code.MODEL_NOT_FOUND


def test_an_upstream_without_any_limit_is_refused_before_a_caller_meets_it(
    op: Op, tx: Tx, ids: CountingIds
) -> None:
    seal = models.Seal(SEALING_KEY, Noise())
    unbounded = ask(models.upstream_deployment("http://up/v1", None, None, seal))
    with pytest.raises(Problem) as refused:
        models.add_model(op, tx, unbounded, ids)
    assert (refused.value.code, refused.value.param) == (Code.INVALID_VALUE, "context")
    for bounded in (
        replace(unbounded, name="a", context_tokens=4096),
        replace(unbounded, name="b", output_tokens_max=100),
    ):
        assert models.add_model(op, tx, bounded, ids).model.name == bounded.name


def test_a_model_document_never_holds_the_upstream_key(op: Op, tx: Tx, ids: CountingIds) -> None:
    seal = models.Seal(SEALING_KEY, Noise())
    deployment = models.upstream_deployment("http://up/v1", None, "sk-secret", seal)
    asked = replace(ask(deployment), context_tokens=4096)
    document = documents.model_json(models.add_model(op, tx, asked, ids))
    assert document["pricing"] is None
    (shown,) = document["deployments"]  # type: ignore[misc]
    assert shown["upstream_key"] == "sealed"
    assert "sk-secret" not in repr(document)


def try_engine(options: ScriptOptions, wait_max_s: int = 5) -> models.ModelTrial:
    async def work() -> models.ModelTrial:
        engine = ScriptedEngine(options)
        await engine.open()
        try:
            return await models.try_model(engine, "m", ManualClock(), wait_max_s=wait_max_s)
        finally:
            await engine.close()

    return asyncio.run(work())


def test_one_turn_is_tried_and_measured() -> None:
    trial = try_engine(ScriptOptions(answer=AnswerKind.TEXT, text="Hello there."))
    assert trial.text == "Hello there."
    assert trial.usage is not None
    assert trial.input_tokens_counted > 0
    document = documents.trial_json("m", trial)
    assert document["first_output_ms"] == 0
    assert document["usage"] is not None


def test_a_silent_model_has_no_first_output() -> None:
    trial = try_engine(ScriptOptions(answer=AnswerKind.TEXT, text=""))
    assert trial.text == ""
    assert documents.trial_json("m", trial)["duration_ms"] == 0


def test_a_failing_model_says_why() -> None:
    with pytest.raises(Problem) as caught:
        try_engine(ScriptOptions(fault=Fault.FAIL, fault_after_chunks=1))
    assert caught.value.code is Code.ENGINE_FAILED


def test_a_hanging_model_is_given_up() -> None:
    with pytest.raises(Problem) as caught:
        try_engine(ScriptOptions(fault=Fault.HANG), wait_max_s=0)
    assert caught.value.code is Code.RUN_TIMEOUT
