import pytest
from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from tests.support.ops import CountingIds, ManualClock
from tokenbooth.catalog.models import service as catalog
from tokenbooth.catalog.models.service import DeploymentAsk, EngineKind, ModelAsk
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.problem import Problem
from tokenbooth.store.tables.catalog import CATALOG_REVISION, DEPLOYMENT, MODEL

SCRIPTED = DeploymentAsk(engine=EngineKind.SCRIPTED)
FULL = DeploymentAsk(
    engine=EngineKind.UPSTREAM,
    upstream_url="http://127.0.0.1:8000/v1",
    upstream_model="their/name",
    upstream_key_sealed=b"tb1:\x00\xff",
    concurrency_max=3,
    queue_max=5,
    queue_wait_max_s=7,
    options={"pool_max": "9", "flag": ""},
)
WEIGHED = DeploymentAsk(engine=EngineKind.EMBEDDED, gguf_path="/weights/ä.gguf")


def test_a_model_is_read_back_as_it_was_added(
    op: Op, tx: Connection, ids: CountingIds, clock: ManualClock
) -> None:
    ask = ModelAsk(
        name="org/small:v1",
        deployments=(FULL, WEIGHED),
        context_tokens=8192,
        output_tokens_max=512,
    )
    added = catalog.add_model(op, tx, ask, ids)
    assert added.created_us == clock.us
    assert (added.context_tokens, added.output_tokens_max) == (8192, 512)
    first, second = added.deployments
    assert first.model_name == second.model_name == "org/small:v1"
    assert first.upstream_key_sealed == b"tb1:\x00\xff"
    assert first.options == {"pool_max": "9", "flag": ""}
    assert second.gguf_path == "/weights/ä.gguf"
    assert catalog.model_by(op, tx, "org/small:v1") == added
    assert catalog.models(op, tx) == (added,)


def test_every_engine_can_be_stored(op: Op, tx: Connection, ids: CountingIds) -> None:
    llamacpp = DeploymentAsk(engine=EngineKind.LLAMACPP, gguf_path="/a")
    static = DeploymentAsk(engine=EngineKind.STATIC, gguf_path="/b.zip")
    ask = ModelAsk(name="m", deployments=(SCRIPTED, WEIGHED, llamacpp, static, FULL))
    catalog.add_model(op, tx, ask, ids)
    engines = [each.engine for each in catalog.model_by(op, tx, "m").deployments]
    assert set(engines) == set(EngineKind)


def test_deployments_keep_their_order(op: Op, tx: Connection, ids: CountingIds) -> None:
    asks = tuple(
        DeploymentAsk(engine=EngineKind.SCRIPTED, concurrency_max=n) for n in (3, 1, 2, 9, 5)
    )
    catalog.add_model(op, tx, ModelAsk(name="m", deployments=asks), ids)
    found = catalog.model_by(op, tx, "m").deployments
    assert [each.concurrency_max for each in found] == [3, 1, 2, 9, 5]
    assert len({each.id for each in found}) == 5


def test_models_come_by_name(op: Op, tx: Connection, ids: CountingIds) -> None:
    for name in ("zeta", "alpha", "mid"):
        catalog.add_model(op, tx, ModelAsk(name=name, deployments=(SCRIPTED, SCRIPTED)), ids)
    found = catalog.models(op, tx)
    assert [model.name for model in found] == ["alpha", "mid", "zeta"]
    assert all(len(model.deployments) == 2 for model in found)


def test_an_empty_catalog_is_empty(op: Op, tx: Connection) -> None:
    assert catalog.models(op, tx) == ()
    assert catalog.revision(op, tx) == 0


def test_a_taken_name_is_refused(op: Op, tx: Connection, ids: CountingIds) -> None:
    added = catalog.add_model(op, tx, ModelAsk(name="m", deployments=(SCRIPTED,)), ids)
    with pytest.raises(Problem) as caught, tx.begin_nested():
        catalog.add_model(op, tx, ModelAsk(name="m", deployments=(WEIGHED,)), ids)
    assert (caught.value.code, caught.value.param) == (Code.ALREADY_EXISTS, "name")
    assert catalog.models(op, tx) == (added,)
    assert catalog.revision(op, tx) == 1


def test_names_that_differ_in_case_are_two_models(op: Op, tx: Connection, ids: CountingIds) -> None:
    catalog.add_model(op, tx, ModelAsk(name="m", deployments=(SCRIPTED,)), ids)
    catalog.add_model(op, tx, ModelAsk(name="M", deployments=(SCRIPTED,)), ids)
    assert catalog.model_by(op, tx, "M").name == "M"


def test_an_impossible_wish_changes_nothing(op: Op, tx: Connection, ids: CountingIds) -> None:
    with pytest.raises(Problem) as caught:
        catalog.add_model(op, tx, ModelAsk(name="a b", deployments=(SCRIPTED,)), ids)
    assert caught.value.param == "name"
    assert catalog.revision(op, tx) == 0


def test_a_removed_model_is_gone_and_its_name_is_free(
    op: Op, tx: Connection, ids: CountingIds
) -> None:
    ask = ModelAsk(name="m", deployments=(SCRIPTED, SCRIPTED))
    first = catalog.add_model(op, tx, ask, ids)
    other = catalog.add_model(op, tx, ModelAsk(name="other", deployments=(SCRIPTED,)), ids)
    catalog.remove_model(op, tx, "m")
    assert catalog.models(op, tx) == (other,)
    assert tx.execute(select(func.count()).select_from(DEPLOYMENT)).scalar_one() == 1
    again = catalog.add_model(op, tx, ask, ids)
    assert again.id != first.id
    assert again.deployments[0].id != first.deployments[0].id


@pytest.mark.parametrize(
    "name", ["", "nobody", "a b", "\0", "\ud800", "x" * 5000, "' OR 1=1 --", "%"]
)
def test_an_unknown_model_is_not_found(op: Op, tx: Connection, ids: CountingIds, name: str) -> None:
    catalog.add_model(op, tx, ModelAsk(name="m", deployments=(SCRIPTED,)), ids)
    for verb in (catalog.model_by, catalog.remove_model):
        with pytest.raises(Problem) as caught, tx.begin_nested():
            verb(op, tx, name)
        assert (caught.value.code, caught.value.param) == (Code.MODEL_NOT_FOUND, "model")
    assert len(catalog.models(op, tx)) == 1


def test_the_revision_rises_with_every_change(
    op: Op, tx: Connection, ids: CountingIds, clock: ManualClock
) -> None:
    seen = [catalog.revision(op, tx)]
    for name in ("a", "b"):
        clock.us += 1
        catalog.add_model(op, tx, ModelAsk(name=name, deployments=(SCRIPTED,)), ids)
        seen.append(catalog.revision(op, tx))
    catalog.remove_model(op, tx, "a")
    seen.append(catalog.revision(op, tx))
    assert seen == [0, 1, 2, 3]
    row = tx.execute(select(CATALOG_REVISION)).one()
    assert (row.changed_us, row.changed_by) == (clock.us, "operator")


def test_the_author_is_kept(op: Op, tx: Connection, ids: CountingIds) -> None:
    catalog.add_model(op, tx, ModelAsk(name="m", deployments=(SCRIPTED,)), ids)
    assert tx.execute(select(MODEL.c.created_by)).scalar_one() == "operator"


def test_the_sealed_key_is_not_printed(op: Op, tx: Connection, ids: CountingIds) -> None:
    model = catalog.add_model(op, tx, ModelAsk(name="m", deployments=(FULL,)), ids)
    assert "tb1" not in repr(model)


def test_the_database_itself_refuses_an_unbounded_queue(
    op: Op, tx: Connection, ids: CountingIds
) -> None:
    catalog.add_model(op, tx, ModelAsk(name="m", deployments=(SCRIPTED,)), ids)
    with pytest.raises(IntegrityError), tx.begin_nested():
        tx.execute(update(DEPLOYMENT).values(concurrency_max=0))
    assert catalog.model_by(op, tx, "m").deployments[0].concurrency_max == 8


def test_the_database_itself_keeps_one_revision(op: Op, tx: Connection, ids: CountingIds) -> None:
    catalog.add_model(op, tx, ModelAsk(name="m", deployments=(SCRIPTED,)), ids)
    row = {"singleton": 2, "revision": 9, "changed_us": 1, "changed_by": "x"}
    with pytest.raises(IntegrityError), tx.begin_nested():
        tx.execute(insert(CATALOG_REVISION).values(row))
    assert catalog.revision(op, tx) == 1
