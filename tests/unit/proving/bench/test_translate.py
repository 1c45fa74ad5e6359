"""What a step costs in each dialect: figures from windows written down here, and a short run."""

import pytest

from tokenbooth.proving.bench.translate import (
    BASE,
    DIALECTS,
    STREAMS,
    TranslateOptions,
    TranslateReport,
    Window,
    run_translate,
)

STEPS = 100


def report(*, responses_bytes: int = 7000, events: int = STEPS) -> TranslateReport:
    """Two rounds; the machine is slower by 50 ns a step in the second."""
    costs = {"openai_chat": 500, "openai_responses": 800, "anthropic_messages": 400}
    windows = [
        Window(stream, dialect, (cost + drift) * STEPS, 7000)
        for drift in (0, 50)
        for stream in STREAMS
        for dialect, cost in costs.items()
    ]
    windows[1] = Window("text", "openai_responses", 800 * STEPS, responses_bytes)
    return TranslateReport(
        options=TranslateOptions(steps=STEPS, windows=2),
        machine_load="0.10 0.10 0.10",
        windows=tuple(windows),
        events={(stream, dialect): events for stream in STREAMS for dialect in costs},
    )


def test_a_dialect_is_compared_with_its_neighbour_in_time() -> None:
    found = report()
    assert found.exact
    assert found.step_ns("text", BASE) == (500.0, 550.0)
    over = found.over_base("text", "openai_responses")
    assert (over.difference, over.spread) == (300.0, 0.0)
    assert found.over_base("text", "anthropic_messages").difference == -100.0


def test_the_document_names_the_goal_beside_each_figure() -> None:
    document = report().document()
    assert document["goals"] == {"over_base_ns": 2000}
    streams = document["streams"]
    assert isinstance(streams, dict)
    assert list(streams) == ["text", "reasoning", "tool arguments"]
    assert streams["reasoning"]["openai_responses"] == {
        "step_ns": 825.0,
        "step_spread_ns": 50.0,
        "over_base_ns": 300.0,
        "over_base_spread_ns": 0.0,
    }


def test_people_read_the_same() -> None:
    lines = list(report().lines())
    assert "openai_responses        825 ns   over openai_chat     +300 ns" in lines[2]
    assert "goal 2000" in lines[2]
    assert lines[-1] == "each step one event in every dialect; load of the machine 0.10 0.10 0.10"


@pytest.mark.parametrize("changed", [{"responses_bytes": 6999}, {"events": STEPS - 1}])
def test_times_of_unlike_work_are_not_exact(changed: dict[str, int]) -> None:
    found = report(**changed)
    assert not found.exact
    assert "NOT EXACT" in list(found.lines())[-1]


def test_every_dialect_writes_one_event_for_each_step_of_every_stream() -> None:
    told: list[tuple[str, int, int]] = []
    found = run_translate(TranslateOptions(steps=30, windows=2), lambda *step: told.append(step))
    assert found.exact
    assert told == [("windows", 0, 2), ("windows", 1, 2)]
    assert len(found.windows) == 2 * len(STREAMS) * len(DIALECTS)
    assert [w.dialect for w in found.windows[:3]] == [dialect.name for dialect in DIALECTS]
    assert set(found.events.values()) == {30}


@pytest.mark.parametrize("fields", [{"steps": 0}, {"windows": 0}])
def test_nothing_cannot_be_measured(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TranslateOptions(**fields)
