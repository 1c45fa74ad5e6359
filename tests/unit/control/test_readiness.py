"""Ready is a replica that can answer for one model, or one that has none to answer for."""

import pytest

from tokenbooth.catalog.models.service import Deployment, EngineKind, Model
from tokenbooth.control.readiness import readiness, readiness_json
from tokenbooth.engines.port import Health


def model(name: str, *deployment_ids: str) -> Model:
    deployments = tuple(
        Deployment(
            id=each,
            model_name=name,
            engine=EngineKind.SCRIPTED,
            gguf_path=None,
            upstream_url=None,
            upstream_model=None,
            upstream_key_sealed=None,
            concurrency_max=1,
            queue_max=1,
            queue_wait_max_s=1,
            options={},
        )
        for each in deployment_ids
    )
    return Model(
        id=name,
        name=name,
        context_tokens=None,
        output_tokens_max=None,
        created_us=0,
        deployments=deployments,
    )


UP, DOWN = Health(ready=True), Health(ready=False, reason="loading")
TWO = (model("a", "d1", "d2"), model("b", "d3"))


@pytest.mark.parametrize(
    ("models", "health", "ready", "count"),
    [
        ((), {}, True, 0),
        (TWO, {}, False, 0),
        (TWO, {"d1": DOWN}, False, 0),
        (TWO, {"d1": DOWN, "d2": UP}, True, 1),
        (TWO, {"d1": UP, "d2": UP, "d3": UP}, True, 2),
        (TWO, {"gone": UP}, False, 0),
    ],
)
def test_one_ready_deployment_is_enough(
    models: tuple[Model, ...], health: dict[str, Health], ready: bool, count: int
) -> None:
    found = readiness(models, health)
    assert found.is_ready is ready
    assert (found.offered, found.ready) == (len(models), count)


def test_without_the_store_nothing_is_ready() -> None:
    found = readiness(None, {"d1": UP})
    assert not found.is_ready
    assert readiness_json(found)["status"] == "not_ready"


def test_the_document_tells_counts_and_no_names() -> None:
    document = readiness_json(readiness(TWO, {"d3": UP}))
    assert document == {
        "status": "ready",
        "store": True,
        "models": {"offered": 2, "ready": 1},
    }
