"""Pixels reach a model that can see: a real llama.cpp over a model of random weights."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.media import BLUE, RED, inline, png, png_head
from tests.support.sight import IMAGE_TOKENS, write_model
from tests.support.turns import Recorder
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature
from tokenbooth.core.turn import (
    ImagePart,
    LogprobsAsk,
    Message,
    Part,
    Role,
    Sampling,
    TextPart,
    Turn,
)
from tokenbooth.engines.llamacpp.engine import LlamacppEngine
from tokenbooth.engines.llamacpp.values import LlamacppOptions


class Eye:
    """An open engine and its loop."""

    def __init__(self, engine: LlamacppEngine, runner: asyncio.Runner) -> None:
        self.engine = engine
        self._runner = runner

    def asked(self, turn: Turn) -> Recorder:
        async def work() -> Recorder:
            recorder = Recorder()
            self.engine.start(turn, recorder)
            return await recorder.over()

        return self._runner.run(work())

    def counted(self, turn: Turn) -> Any:
        return self._runner.run(self.engine.count_input_tokens(turn))


@pytest.fixture(scope="module")
def eye(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eye]:
    model, mmproj = write_model(tmp_path_factory.mktemp("sight"))
    options = LlamacppOptions(str(model), mmproj_path=str(mmproj), slots=2, context_tokens=1024)
    engine = LlamacppEngine(options)
    with asyncio.Runner() as runner:
        runner.run(engine.open())
        yield Eye(engine, runner)
        runner.run(engine.close())


def image(raw: bytes) -> ImagePart:
    return ImagePart(inline("image/png", raw), width=4, height=3)


def turn_of(*parts: Part, **fields: Any) -> Turn:
    asked: dict[str, Any] = {
        "model": "m",
        "messages": (Message(Role.USER, parts),),
        "output_tokens_max": 6,
        "sampling": Sampling(temperature=0.0, seed=1),
        "logprobs": LogprobsAsk(top=1),
    }
    return Turn(**asked | fields)


SEE = TextPart("see ")


def told(recorder: Recorder) -> list[tuple[str, float]]:
    """What was said, and how surely."""
    assert recorder.problem is None, recorder.problem
    return [(p.text, round(p.logprob, 3)) for delta in recorder.deltas for p in delta.logprobs]


def test_another_image_gets_another_answer_and_the_same_image_the_same(eye: Eye) -> None:
    red, again, blue = (
        told(eye.asked(turn_of(SEE, image(png(40, 30, color)), TextPart("?"))))
        for color in (RED, RED, BLUE)
    )
    assert red
    assert red == again
    assert red != blue


def test_the_order_of_images_is_seen(eye: Eye) -> None:
    red, blue = image(png(40, 30, RED)), image(png(40, 30, BLUE))
    assert told(eye.asked(turn_of(red, blue, SEE))) != told(eye.asked(turn_of(blue, red, SEE)))


def test_the_tokens_of_an_image_are_counted_by_the_engine_and_bounded_before(eye: Eye) -> None:
    assert Feature.IMAGES in eye.engine.capabilities.features
    plain, seen = turn_of(SEE), turn_of(SEE, image(png(40, 30, RED)))
    bare = eye.asked(plain).end
    with_image = eye.asked(seen).end
    assert bare is not None
    assert with_image is not None
    assert bare.usage is not None
    assert with_image.usage is not None
    assert with_image.usage.input_tokens == bare.usage.input_tokens + IMAGE_TOKENS
    assert with_image.usage.output_tokens == 6
    counted, bound = eye.counted(plain), eye.counted(seen)
    assert (counted.tokens, counted.exact) == (bare.usage.input_tokens, True)
    assert bound.tokens >= with_image.usage.input_tokens
    assert not bound.exact


def test_several_choices_and_a_stop_string_work_with_images(eye: Eye) -> None:
    turn = turn_of(SEE, image(png(40, 30, RED)), choices=2)
    recorder = eye.asked(turn)
    assert recorder.problem is None
    assert {delta.choice for delta in recorder.deltas} == {0, 1}
    first = "".join(text for text, _ in told(eye.asked(replace(turn, choices=1))))
    stop = next(letter for letter in first if letter.isascii() and letter.isprintable())
    cut = eye.asked(replace(turn, choices=1, sampling=replace(turn.sampling, stop=(stop,))))
    assert "".join(delta.text for delta in cut.deltas) == first[: first.index(stop)]


@pytest.mark.parametrize("raw", [png_head(4, 3), png(4, 3)[:-20] + b"x" * 20, b"RIFF1234WEBPVP8 "])
def test_an_image_that_the_engine_cannot_read_is_the_caller_s_fault(eye: Eye, raw: bytes) -> None:
    problem = eye.asked(turn_of(SEE, image(raw))).problem
    assert problem is not None
    assert problem.code is Code.MEDIA_UNREADABLE
    assert told(eye.asked(turn_of(SEE, image(png()))))


def test_more_images_than_fit_the_window_are_refused_with_both_numbers(eye: Eye) -> None:
    problem = eye.asked(turn_of(SEE, *[image(png())] * 70)).problem
    assert problem is not None
    assert problem.code is Code.CONTEXT_LENGTH_EXCEEDED
    assert problem.facts["context_tokens"] == 1024
    assert int(problem.facts["input_tokens"]) > 70 * IMAGE_TOKENS


def test_the_same_model_without_its_eye_says_that_it_sees_nothing(eye: Eye) -> None:
    options = LlamacppOptions("model.gguf")
    assert Feature.IMAGES not in LlamacppEngine(options).capabilities.features
    assert eye.engine.restarts == 0
