import json
from pathlib import Path

import pytest

from tests.support.drill_evidence import clean_evidence, first, swap_call
from tokenbooth.proving.drills.laws import violations
from tokenbooth.proving.drills.mixed.drill import PARALLEL_MAX, MixedDrill
from tokenbooth.proving.drills.mixed.schedule import CALLS_MIN
from tokenbooth.proving.plans import CallKind


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"calls": CALLS_MIN - 1}, "calls"),
        ({"calls": 10**9}, "calls"),
        ({"parallel": 1}, "parallel"),
        ({"parallel": PARALLEL_MAX + 1}, "parallel"),
    ],
)
def test_impossible_options_are_refused(changed: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        MixedDrill(**changed)


def test_its_figures_add_up_and_are_json() -> None:
    seen = clean_evidence()
    figures = json.loads(json.dumps(MixedDrill(parallel=8).figures(seen)))
    assert figures["parallel"] == 8
    assert sum(figures["calls_by_kind"].values()) == figures["calls"] == 60
    assert (figures["engine_kills"], figures["server_5xx_on_client_fault"]) == (2, 0)


def test_a_5xx_on_a_client_fault_is_counted_and_a_5xx_on_a_paying_call_is_not() -> None:
    seen = clean_evidence()
    bad = swap_call(seen, first(seen, CallKind.MALFORMED), status=500)
    bad = swap_call(bad, first(seen, CallKind.WHOLE), status=500)
    assert MixedDrill().figures(bad)["server_5xx_on_client_fault"] == 1


def test_the_engine_that_dies_stands_beside_the_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(
        "tokenbooth.proving.drills.engine.Child.start",
        lambda child: started.append(" ".join(child._command)),
    )
    drill = MixedDrill(parallel=8)
    with drill.beside(tmp_path, "postgresql://x") as store_url:
        (model, _slow) = drill.stage_plan().models
    assert store_url == "postgresql://x"
    assert "--chunks 40 --chunk-delay-ms 10" in started[0]
    assert model.upstream_url is not None
    assert model.upstream_url.split(":")[2].removesuffix("/v1") in started[0]


def test_its_laws_find_nothing_in_a_clean_drill() -> None:
    assert violations(clean_evidence(), MixedDrill().laws) == ()
