"""Step 4 asks the stage: who is let in, in which words others are refused, what an end tells."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import TestBooth, chat, open_test_booth
from tests.unit.gateway.test_serve import in_loop
from tokenbooth.control import offers
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.cohorts import service as cohorts
from tokenbooth.launch.cohorts.service import CohortAsk, MemberState
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage, StageAsk
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


async def move(booth: TestBooth, stage: Stage, **fields: Any) -> None:
    ask = StageAsk(**{"model": "demo", "stage": stage, **fields})
    await booth.store.write(lambda tx: stages.move(booth.op, tx, ask))
    booth.clock.us += 2_000_000  # what the directory keeps is older than it may be


async def invite(booth: TestBooth, limits: CallLimits) -> None:
    def verb(tx: Tx) -> None:
        made = cohorts.create(booth.op, tx, CohortAsk(name="c", model="demo", limits=limits))
        cohorts.decide(booth.op, tx, made, booth.org_id, MemberState.INVITED)

    await booth.store.write(verb)
    booth.clock.us += 2_000_000


async def listed(booth: TestBooth) -> tuple[list[dict[str, Any]], Problem | None]:
    """The rows of the models list, and why the one model is not shown alone."""
    caller = await booth.rooms.directory.caller(booth.op, booth.secret)

    def verb(tx: Tx) -> tuple[list[dict[str, Any]], Problem | None]:
        rows = [dict(offers.offer_row(o)) for o in offers.offers(booth.op, tx, caller, _nothing)]
        try:
            offers.offer(booth.op, tx, caller, "demo", _nothing)
        except Problem as problem:
            return rows, problem
        return rows, None

    return await booth.store.read(verb)


def _nothing(deployment: Any) -> None:
    return None


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    def run(scene: Any) -> None:
        async def scenario() -> None:
            async with open_test_booth(tmp_path) as booth:
                await scene(booth)

        in_loop(scenario)

    return run


@pytest.mark.parametrize(
    ("stage", "status", "code"),
    [
        (Stage.CLOSED, 404, "model_not_found"),
        (Stage.WAITLIST, 403, "model_not_open"),
        (Stage.PRIVATE_PREVIEW, 403, "model_not_open"),
        (Stage.RETIRED, 404, "model_retired"),
    ],
)
def test_who_is_not_invited_is_refused_and_sees_no_offer(
    play: Callable[..., None], stage: Stage, status: int, code: str
) -> None:
    async def scene(booth: TestBooth) -> None:
        await move(booth, stage)
        sink = await booth.ask(chat())
        assert (sink.status, sink.document["error"]["code"]) == (status, code)
        rows, problem = await listed(booth)
        assert rows == []
        assert problem is not None
        assert problem.code.text == code
        assert await booth.spent_nano() == 0

    play(scene)


def test_the_refusal_speaks_the_callers_dialect(play: Callable[..., None]) -> None:
    async def scene(booth: TestBooth) -> None:
        await move(booth, Stage.WAITLIST)
        sink = await booth.ask(chat(max_tokens=5), dialect=ANTHROPIC_MESSAGES)
        assert (sink.status, sink.document["type"]) == (403, "error")
        assert sink.document["error"]["type"] == "permission_error"
        assert "Ask the operator" in sink.document["error"]["message"]

    play(scene)


def test_an_invited_organization_calls_within_the_limits_of_its_cohort(
    play: Callable[..., None],
) -> None:
    async def scene(booth: TestBooth) -> None:
        await move(booth, Stage.PRIVATE_PREVIEW)
        await invite(booth, CallLimits(requests_per_minute=2))
        assert [(await booth.ask(chat())).status for _ in range(3)] == [200, 200, 429]
        rows, problem = await listed(booth)
        assert problem is None
        assert [row["stage"] for row in rows] == ["private_preview"]

    play(scene)


def test_a_call_that_never_fits_the_cohorts_limit_is_told_so(play: Callable[..., None]) -> None:
    async def scene(booth: TestBooth) -> None:
        await move(booth, Stage.PRIVATE_PREVIEW)
        await invite(booth, CallLimits(tokens_per_minute=40))
        assert (await booth.ask(chat())).status == 200
        sink = await booth.ask(chat(max_tokens=100))
        assert (sink.status, sink.document["error"]["code"]) == (400, "invalid_value")

    play(scene)


@pytest.mark.parametrize("stream", [False, True])
def test_a_deprecated_model_answers_and_says_when_it_ends(
    play: Callable[..., None], stream: bool
) -> None:
    async def scene(booth: TestBooth) -> None:
        sunset_us = booth.clock.us + 10**13
        began_s = booth.clock.us // 10**6
        await move(booth, Stage.DEPRECATED, sunset_us=sunset_us, successor="next")
        sink = await booth.ask(chat(stream=stream))
        assert sink.status == 200
        assert sink.headers["deprecation"] == f"@{began_s}"
        assert sink.headers["sunset"] == "Sat, 09 Mar 2024 16:00:00 GMT"
        ((row,), _) = await listed(booth)
        assert (row["lifecycle"], row["stage"]) == ("deprecated", "deprecated")
        assert (row["deprecated_at"], row["shutdown_date"]) == (
            "2023-11-14T22:13:20Z",
            "2024-03-09",
        )

    play(scene)


def test_a_model_that_came_back_says_nothing_of_an_end(play: Callable[..., None]) -> None:
    async def scene(booth: TestBooth) -> None:
        await move(booth, Stage.DEPRECATED)
        await move(booth, Stage.GA)
        sink = await booth.ask(chat())
        assert "deprecation" not in sink.headers
        ((row,), _) = await listed(booth)
        assert (row["lifecycle"], row["deprecated_at"]) == ("active", None)

    play(scene)


def test_a_capability_has_a_stage_of_its_own(play: Callable[..., None]) -> None:
    async def scene(booth: TestBooth) -> None:
        await move(booth, Stage.PRIVATE_PREVIEW, capability="tools")
        assert (await booth.ask(chat())).status == 200
        sink = await booth.ask(chat(tools=[TOOL]))
        error = sink.document["error"]
        assert (sink.status, error["code"], error["param"]) == (403, "model_not_open", "tools")
        await invite(booth, CallLimits())
        assert (await booth.ask(chat(tools=[TOOL]))).status == 200
        assert (await booth.ask(chat(seed=1))).status == 200
        await move(booth, Stage.WAITLIST, capability="tools")
        assert (await booth.ask(chat(tools=[TOOL]))).status == 403

    play(scene)


def test_a_stage_costs_an_open_model_no_read_and_others_one_each(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(booth: TestBooth) -> None:
        reads = 0

        class Counting:
            async def read(self, verb: Any) -> Any:
                nonlocal reads
                reads += 1
                return await booth.store.read(verb)

        monkeypatch.setattr(booth.rooms.directory, "_store", Counting())
        await booth.ask(chat())
        before = reads
        await booth.ask(chat())
        assert reads == before
        await move(booth, Stage.PRIVATE_PREVIEW)
        await booth.ask(chat())
        before = reads
        sink = await booth.ask(chat())
        assert (sink.status, reads) == (403, before)

    play(scene)
