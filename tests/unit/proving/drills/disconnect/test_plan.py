import pytest

from tokenbooth.core.turn import Message, Role, TextPart, Turn
from tokenbooth.engines.bounds import turn_tokens_max
from tokenbooth.engines.scripted.counting import input_tokens_of
from tokenbooth.engines.scripted.rules import commands_in
from tokenbooth.proving.drills.disconnect.plan import (
    CHUNKS,
    EVENTS,
    FAR,
    NEAR,
    RACES,
    WHOLE_PLACES,
    Cut,
    Place,
    cuts,
    stage_plan,
)

PLANNED = cuts(5)


def turn(cut: Cut) -> Turn:
    message = Message(Role.USER, (TextPart(cut.plan.prompt),))
    return Turn(model="m", messages=(message,))


def chosen(**wanted: object) -> list[Cut]:
    return [
        cut for cut in PLANNED if all(getattr(cut.plan, n) == value for n, value in wanted.items())
    ]


def test_cuts_are_a_function_of_the_seed() -> None:
    assert cuts(5) == PLANNED
    assert cuts(6) != PLANNED


def test_every_call_is_there_once_under_its_own_mark() -> None:
    assert [cut.plan.number for cut in PLANNED] == list(range(len(PLANNED)))
    assert len({cut.plan.prompt for cut in PLANNED}) == len(PLANNED)
    assert all(cut.plan.prompt.endswith(cut.plan.mark) for cut in PLANNED)


@pytest.mark.parametrize("model", [FAR, NEAR])
@pytest.mark.parametrize("abrupt", [True, False])
def test_a_stream_is_cut_at_every_event_in_both_manners(model: str, abrupt: bool) -> None:
    found = [c for c in chosen(model=model, abrupt=abrupt, stream=True) if c.place != Place.RACING]
    assert sorted(cut.plan.cut_after_events for cut in found) == list(range(EVENTS + 1))


@pytest.mark.parametrize("model", [FAR, NEAR])
def test_a_whole_answer_is_cut_at_several_places(model: str) -> None:
    found = chosen(model=model, stream=False)
    assert len(found) == 2 * len(WHOLE_PLACES)
    assert {cut.delivered for cut in found} == {0}


def test_the_engine_falls_silent_exactly_where_the_client_hangs_up() -> None:
    for cut in PLANNED:
        script = commands_in(turn(cut))
        assert script["chunks"] == str(CHUNKS)
        if cut.place is Place.SILENT and cut.plan.stream:
            assert script["fault_after_chunks"] == str(cut.plan.cut_after_events)
            assert cut.delivered == cut.plan.cut_after_events < CHUNKS
        if cut.place is Place.ENDED:
            assert cut.delivered == CHUNKS <= cut.plan.cut_after_events
        assert ("fault" in script) is (cut.place is Place.SILENT)


def test_races_happen_within_the_answer() -> None:
    races = [cut for cut in PLANNED if cut.place is Place.RACING]
    assert len(races) == RACES
    assert all(1 <= cut.delivered < CHUNKS for cut in races)
    assert all(cut.delivered == cut.plan.cut_after_events for cut in races)


def test_input_is_counted_as_the_engine_does_and_bounded_as_documented() -> None:
    for cut in PLANNED:
        assert cut.input_tokens == input_tokens_of(turn(cut))
        bound = turn_tokens_max(turn(cut)) if cut.far else cut.input_tokens
        assert cut.charged_input_tokens == bound


def test_a_blind_cut_at_an_engine_that_cannot_tell_waits_a_moment() -> None:
    for cut in PLANNED:
        blind = not cut.plan.stream or cut.plan.cut_after_events == 0
        assert (cut.plan.pause_ms > 0) is (blind and not cut.far)


def test_both_models_have_room_for_all_callers() -> None:
    far, near = stage_plan("http://127.0.0.1:9/v1", 8).models
    assert (far.name, far.upstream_url) == (FAR, "http://127.0.0.1:9/v1")
    assert (near.name, near.upstream_url, near.script) == (NEAR, None, {"turn_commands": "true"})
    assert min(far.concurrency_max, near.concurrency_max) >= 8
